"""What the pods of a run use, from a cluster with and without a metrics-server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.names import labels
from surreal.orchestrator.backends.kube.status.collect import NO_SERVER, usage
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.run.usage import Usage
from tests.orchestrator.kube import recordings
from tests.orchestrator.kube.apiserver import Server, api_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """With a metrics-server."""
    with api_server(tmp_path) as running:
        running.unknown -= {"PodMetrics"}
        yield running


def used(server: Server) -> Usage:
    seen = recordings.snapshot("running")
    return usage(server.api(), seen, status_of(seen))


def metrics(server: Server, pod: str, role: str, cpu: str, memory: str) -> None:
    """What the metrics-server says of a pod with a helper beside the worker."""
    about = {"name": pod, "labels": labels("toy", "0a1b2c3d", role)}
    helper = {"name": "mesh", "usage": {"cpu": "1", "memory": "1Gi"}}
    worker = {"name": "worker", "usage": {"cpu": cpu, "memory": memory}}
    body = {"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": about}
    server.api().post("PodMetrics", {**body, "containers": [helper, worker]})


def test_pods_are_told_by_role_and_index(server: Server) -> None:
    seen = recordings.snapshot("running")
    first, second = (seen.pods_of("actor")[index][-1]["metadata"]["name"] for index in (0, 1))
    metrics(server, first, "actor", "250m", "300Mi")
    metrics(server, second, "actor", "123456789n", "512Ki")
    metrics(server, "toy-actor-0-gone", "actor", "9", "9Gi")
    found = used(server)
    assert not found.note
    actor = {role.name: role for role in found.roles}["actor"]
    assert [(each.index, each.used.cpu, each.used.memory) for each in actor.processes] == [
        (0, 0.25, 300 * 2**20),
        (1, 0.123, 512 * 2**10),
    ]
    learner = found.document()["roles"][1]
    assert (learner["name"], learner["running"], learner["cpu"], learner["memory"]) == ("learner", 1, None, None)


def test_a_cluster_without_metrics_says_so_and_shows_the_rest(server: Server) -> None:
    server.unknown |= {"PodMetrics"}
    found = used(server)
    assert found.note == NO_SERVER
    assert [len(role.processes) for role in found.roles] == [2, 1, 1]


def test_who_may_not_see_metrics_is_told_why(server: Server) -> None:
    server.store.rules.allowed = {("list", "nothing")}
    assert used(server).note.startswith("CPU and memory are not known: ")


def test_pods_that_were_not_measured_yet_are_said(server: Server) -> None:
    assert "has not seen its pods yet" in used(server).note
