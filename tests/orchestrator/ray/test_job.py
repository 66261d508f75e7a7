"""The driver of a run whose cluster was made for it: it begins, and goes on after an earlier head."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from surreal.orchestrator.backends.ray import job, placement
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import State
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import ExitCode
from tests.orchestrator.plan.test_plan import SMALL
from tests.orchestrator.ray.small_cluster import SmallCluster, small_cluster
from tests.orchestrator.runs import plan
from tests.orchestrator.sites import pole, when
from tests.orchestrator.test_conformance import ENDLESS, running


def test_each_role_goes_to_the_worker_group_of_its_name() -> None:
    for role in job.inside(plan()).roles:
        assert placement.host_options(role, (), ())["label_selector"] == {"ray.io/node-group": role.name}


@pytest.mark.parametrize(
    ("state", "attempt", "code"),
    [
        ("succeeded", "1", ExitCode.DONE),
        ("failed", "1", ExitCode.FAILED),
        ("failed", "2", None),
        ("stopped", "1", None),
        ("running", "1", None),
    ],
)
def test_a_further_cluster_is_for_runs_that_are_not_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: State, attempt: str, code: ExitCode | None
) -> None:
    folder = Folder(tmp_path / "toy")
    assert job.decided(folder) is None, "nothing began yet"
    folder.make()
    RunRecord(state).write(folder)
    (folder.path / "attempt").write_text("1")
    monkeypatch.setenv(job.ATTEMPT_VARIABLE, attempt)
    assert job.decided(folder) is code


@contextmanager
def driver(cluster: SmallCluster, *arguments: str) -> "Iterator[subprocess.Popen[bytes]]":
    """The driver as KubeRay starts it, killed at the end of the block."""
    env = {**os.environ, "RAY_ADDRESS": cluster.address, "SURREAL_HOME": str(cluster.home)}
    command = [sys.executable, "-P", "-m", "surreal.orchestrator.backends.ray.job", *arguments]
    process = subprocess.Popen(command, env=env)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def created(cluster: SmallCluster, name: str) -> None:
    deadline = time.monotonic() + 120
    while name not in cluster.backend.names():
        assert time.monotonic() < deadline, f"{name} is never created"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_driver_begins_a_run_and_another_goes_on_with_it(tmp_path: Path) -> None:
    data = pole("pole", total_steps=ENDLESS)
    experiment = Experiment.from_data(data)
    planned = make_plan(experiment, [SMALL])
    (tmp_path / "plan.json").write_text(planned.to_json())
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml())
    with small_cluster("learner,actor,evaluator") as cluster:
        groups = {
            each["NodeID"][:6]: each["Labels"].get("ray.io/node-group") for each in cluster.backend.cluster().nodes()
        }
        with driver(cluster, "pole", str(tmp_path)):
            created(cluster, "pole")
            before = running(cluster, "pole")
            places = {role: {each.node[-7:-1] for each in found} for role, found in before.roles.items()}
            assert {role: {groups[node] for node in nodes} for role, nodes in places.items()} == {
                role: {role} for role in places
            }
            with driver(cluster, "pole", "--stop") as stopping:
                assert stopping.wait(120) == ExitCode.DONE
            assert cluster.backend.status("pole").state == "stopped"
        # the cluster is about to go; the next one finds the folder, and no supervisor
        supervisor = cluster.backend.cluster().ray.get_actor("pole", namespace="surreal")
        cluster.backend.cluster().ray.kill(supervisor, no_restart=True)
        with driver(cluster, "pole", str(tmp_path)) as second:
            created(cluster, "pole")
            after = running(cluster, "pole")
            assert after.progress.steps > 0 and second.poll() is None
            when(cluster, "pole", "it learns on", lambda now: now.progress.steps > before.progress.steps)
            cluster.backend.delete("pole")
