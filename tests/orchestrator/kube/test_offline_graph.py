"""Runs without actors, and runs that record, in a cluster: their objects under both engines."""

import json
from typing import Any

import pytest

from surreal.orchestrator.backends.kube.kuberay.render import render as render_ray
from surreal.orchestrator.plan.model import Plan
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.rendered import NAMESPACE, RUN, jobs, objects, of_kind, planned, pods

DATA = {"name": "data", "mountPath": "/data", "claim": "shared"}
CONFIG = {"dataset": "/data/walks"}


def learning(name: str, shards: int = 3) -> Plan:
    """The plan of an algorithm that learns from a dataset on a volume."""
    roles = {"dataset": {"replicas": shards, "volumes": [DATA]}}
    env = {"id": "Pendulum-v1"}
    return planned(minimal(env=env, algorithm={"name": name, "config": CONFIG}, roles=roles))


@pytest.mark.parametrize("name", ["bc", "td3bc", "iql", "cql", "crr", "awac"])
def test_shards_learner_and_evaluator_are_all_there_is(name: str) -> None:
    found = objects(learning(name))
    assert set(jobs(found)) == {"learner", "dataset", "evaluator"}
    assert jobs(found)["dataset"]["completions"] == 3
    mounts = {role: _mounts(pod) for role, pod in pods(found).items()}
    assert "/data" in mounts["dataset"]
    assert "/data" not in mounts["learner"] | mounts["evaluator"]


def test_the_learner_finds_every_shard_by_name() -> None:
    found = objects(learning("td3bc"))
    (wired,) = (text for text in _wirings(found) if text["role"] == "learner")
    hosts = [address.partition("//")[2].rpartition(":")[0] for address in wired["channels"]["sample"]["addresses"]]
    assert hosts == [f"cart-dataset-{index}.cart" for index in range(3)]
    assert "cart" in of_kind("Service", found)


def test_a_ray_cluster_gets_a_group_for_the_shards() -> None:
    (job, *_) = render_ray(learning("td3bc"), RUN, NAMESPACE, None, "kind: Experiment\n")
    groups = {each["groupName"]: each for each in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]}
    (shards,) = (each for name, each in groups.items() if "dataset" in name)
    assert shards["replicas"] == 3
    assert "/data" in _mounts(shards["template"]["spec"])


@pytest.mark.parametrize("engine", ["jobs", "ray"])
def test_actors_that_record_have_the_folder_and_say_it_in_their_wiring(engine: str) -> None:
    roles = {"actor": {"replicas": 2, "volumes": [{**DATA, "readOnly": False}]}}
    plan = planned(minimal(roles=roles, record={"folder": "/data/walks", "gigabytes": 4}))
    if engine == "ray":
        text = json.dumps(render_ray(plan, RUN, NAMESPACE, None, "kind: Experiment\n"))
        assert "/data/walks" in text
        return
    found = objects(plan)
    wired = {each["role"]: each["record"] for each in _wirings(found)}
    assert wired["actor"] == {"folder": "/data/walks", "every": 1, "bytes": 2 * 10**9}
    assert wired["learner"] == wired["evaluator"] == {}
    assert "/data" in _mounts(pods(found)["actor"])


def _mounts(pod: dict[str, Any]) -> set[str]:
    return {each["mountPath"] for container in pod["containers"] for each in container.get("volumeMounts", ())}


def _wirings(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the wirings in the run's ConfigMaps."""
    texts = [text for each in of_kind("ConfigMap", found).values() for text in each.get("data", {}).values()]
    read = [json.loads(text) for text in texts if text.lstrip().startswith("{") and '"serves_control"' in text]
    return [each for each in read if "role" in each]
