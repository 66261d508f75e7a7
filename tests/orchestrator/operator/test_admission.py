"""A real API server takes the files of the examples and refuses wrong ones, with the key named."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.operator.crd.definitions import definitions
from surreal.protocol.documents.yaml import load_file
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import ApiError
from tests.orchestrator.kube.small_run import CONTEXT, needs_cluster

pytestmark = [pytest.mark.e2e, needs_cluster]
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
Data = dict[str, Any]


@pytest.fixture
def api() -> Iterator[Api]:
    """A namespace of a server that knows the definitions."""
    name = f"surreal-test-{uuid.uuid4().hex[:6]}"
    api = Api.connect(None, CONTEXT, name)
    for each in definitions():
        api.apply("CustomResourceDefinition", each, force=True)
    api.post("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield api
    finally:
        api.delete("Namespace", name)


def minimal() -> Data:
    data: Data = {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "toy"},
        "spec": {
            "env": {"id": "CartPole-v1"},
            "algorithm": {"name": "ppo", "config": {}},
            "roles": {"actor": {"replicas": 2, "resources": {}, "volumes": [], "env": {}}},
        },
    }
    return data


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_taken_as_it_is(api: Api, path: Path) -> None:
    data, _ = load_file(path)
    taken = api.apply("Experiment", data, dry_run=True)
    assert taken["spec"]["seed"] == data["spec"].get("seed", 1)


def spoilt(*path: str, value: Any) -> Callable[[Data], None]:
    def spoil(data: Data) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return spoil


ROLE = ("spec", "roles", "actor")
WRONG = {
    'unknown field "spec.foo"': spoilt("spec", "foo", value=1),
    "roles.actor.resources.cpus": spoilt(*ROLE, "resources", "cpus", value=1),
    "spec.algorithm.name.*must be one of ars": spoilt("spec", "algorithm", "name", value="pppo"),
    "spec.env.copies.*greater than or equal to 1": spoilt("spec", "env", "copies", value=0),
    "metadata.name": spoilt("metadata", "name", value="1abc"),
    "metadata.name: Too long": spoilt("metadata", "name", value="a" * 41),
    "spec.storage.url.*go together": spoilt("spec", "storage", value={"kind": "url"}),
    "spec.storage.className.*is for kind": spoilt("spec", "storage", value={"kind": "emptyDir", "className": "a"}),
    "spec.code.*surreal create --on kube packs": spoilt("spec", "code", value="."),
    "resources.cpu.*should match": spoilt(*ROLE, "resources", "cpu", value="2x"),
    "resources.cpu: Too many": spoilt(*ROLE, "resources", "cpu", value={"a": 1}),
    "resources.cpu.*greater than 0": spoilt(*ROLE, "resources", "cpu", value=0),
    "resources.memory.*should match": spoilt(*ROLE, "resources", "memory", value="1Gx"),
    "exactly one of claim": spoilt(*ROLE, "volumes", value=[{"name": "x", "mountPath": "/data"}]),
    "names of environment variables": spoilt(*ROLE, "env", value={"1X": "a"}),
    "spec.seed.*must be of type integer": spoilt("spec", "seed", value="x"),
    "spec.image.*should match": spoilt("spec", "image", value="a b"),
}


@pytest.mark.parametrize("said", WRONG)
def test_a_wrong_file_is_refused_with_its_key(api: Api, said: str) -> None:
    data = minimal()
    WRONG[said](data)
    with pytest.raises(ApiError, match=f"(?s){said}"):
        api.post("Experiment", data, dry_run=True, strict=True)


def test_what_cannot_change_is_refused_with_the_reason_and_the_rest_is_taken(api: Api) -> None:
    api.post("Experiment", {**minimal(), "metadata": {"name": "fixed"}})
    for change in (
        {"env": {"id": "Pendulum-v1"}},
        {"env": {"options": {"hidden": 1}}},
        {"algorithm": {"config": {"total_steps": 5}}},
        {"seed": 2},
        {"queue": "q"},
    ):
        with pytest.raises(ApiError, match="of a run does not change: apply it under another name"):
            api.patch("Experiment", "fixed", {"spec": change})
    for key, value in (("suspend", True), ("replicas", 3), ("ttlSecondsAfterFinished", 5)):
        taken = api.patch("Experiment", "fixed", {"spec": {key: value}})
        assert taken["spec"][key] == value


def test_scale_reads_the_replicas(api: Api) -> None:
    api.post("Experiment", {**minimal(), "metadata": {"name": "scaled"}})
    path = f"/apis/surreal.dev/v1alpha1/namespaces/{api.namespace}/experiments/scaled/scale"
    assert api.raw_get(path)["spec"].get("replicas", 0) == 0
    api.patch("Experiment", "scaled", {"spec": {"replicas": 3}})
    assert api.raw_get(path)["spec"]["replicas"] == 3


@pytest.mark.parametrize("experiment", ["grid", "space"])
def test_a_sweep_is_taken(api: Api, experiment: str) -> None:
    ranges: Data = {"spec.algorithm.config.gamma": {"low": 0.9, "high": 0.99}}
    specs: dict[str, Data] = {"grid": {"grid": {"spec.env.copies": [1, 2]}}, "space": {"space": ranges, "trials": 3}}
    spec = specs[experiment]
    sweep = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Sweep", "metadata": {"name": "s"}}
    taken = api.apply("Sweep", {**sweep, "spec": {"experiment": "toy.yaml", **spec}}, dry_run=True)
    assert taken["spec"]["seeds"] == 1
