"""Runs in a cluster go on with other values and begin at checkpoints of others, as runs of this machine do."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.pod.beginning import begin_at_checkpoint
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE, Server, api_server
from tests.provisioner.nodes import node


def experiment(**spec: Any) -> Experiment:
    data = minimal()
    data["spec"].update({"storage": {"kind": "claim", "size": "1Gi"}, **spec})
    return Experiment.from_data(data)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    with api_server(tmp_path, runs_jobs=True) as served:
        monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig))
        served.store.create("Node", "", node("one", cpu=8, memory="32Gi"), "kubelet", False)
        yield served


def create(**spec: Any) -> Run:
    return Client("kube", context=CONTEXT, namespace=NAMESPACE).create(experiment(**spec))


def plan_of(server: Server, name: str) -> Plan:
    return Plan.from_json(server.store.get("ConfigMap", NAMESPACE, name)["data"]["plan.json"])


def end(server: Server, name: str, role: str, condition: str) -> None:
    """Have the Job of a role be over."""
    over = {"type": condition, "status": "True", "lastTransitionTime": "2026-11-28T12:00:00Z"}
    server.store.patch("Job", NAMESPACE, f"{name}-{role}", {"status": {"conditions": [over]}}, "kubelet", False)


def test_a_run_is_scaled_and_its_wiring_and_jobs_follow(server: Server) -> None:
    run = create()
    wiring = [name for name in server.store.names("ConfigMap") if name.startswith("cart-wiring-")]
    keys = server.store.names("Secret")
    run.scale({"actor": 4})
    assert plan_of(server, "cart").role("actor").replicas == 4
    assert "replicas: 4" in server.store.get("ConfigMap", NAMESPACE, "cart")["data"]["experiment.yaml"]
    job = server.store.get("Job", NAMESPACE, "cart-actor")
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (4, 4)
    made = [name for name in server.store.names("ConfigMap") if name.startswith("cart-wiring-")]
    assert len(made) == 1 and made != wiring and server.store.names("Secret") == keys
    mounted = job["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    assert made == [mounted]
    assert json.loads(server.store.get("ConfigMap", NAMESPACE, mounted)["data"]["actor.json"])["replicas"]["actor"] == 4


def test_what_the_pools_cannot_hold_is_refused_with_what_they_have_and_the_run_runs_on(server: Server) -> None:
    run = create()
    before = server.store.get("ConfigMap", NAMESPACE, "cart"), server.store.get("Job", NAMESPACE, "cart-actor")
    with pytest.raises(InvalidInput) as caught:
        run.scale({"actor": 64})
    said = "spec.roles: pool 'nodes' has 1 machine of 8 CPUs, 32Gi, and the run would need 9 of them."
    assert str(caught.value).startswith(said)
    after = server.store.get("ConfigMap", NAMESPACE, "cart"), server.store.get("Job", NAMESPACE, "cart-actor")
    assert before == after and not after[1]["spec"].get("suspend")


def test_a_run_that_has_succeeded_goes_on_with_more_steps_and_not_without(server: Server) -> None:
    run = create()
    end(server, "cart", "learner", "Complete")
    with pytest.raises(InvalidInput, match="cart: has succeeded: .* surreal resume cart --set spec.algorithm.config"):
        run.resume()
    run.resume(changes=["spec.algorithm.config.total_steps=5e6", "spec.limits.hours=3"])
    plan = plan_of(server, "cart")
    assert plan.config["total_steps"] == 5_000_000 and plan.limits.hours == 3.0
    assert run.status().state in ("pending", "running")
    marks = server.store.get("ConfigMap", NAMESPACE, "cart")["metadata"]["annotations"]
    assert "surreal.dev/changed" not in marks and marks["surreal.dev/attempt"] == "2"
    with pytest.raises(InvalidInput, match="cart: is (running|pending). Stop it first: surreal stop cart"):
        run.backend.change("cart", ["spec.limits.hours=4"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("spec.env.id=Acrobot-v1", "--set spec.env.id: 'CartPole-v1' cannot change in a run that exists"),
        ("spec.algorithm.config.hidden=[32]", r"hidden: \[64, 64\] cannot change in a run that exists"),
        ("spec.algorithm.config.network={encoder: mlp}", "network.encoder: auto cannot change in a run that exists"),
        ("spec.channels.weights.relays=2", "weights-relay would be added or removed, and a run in a cluster keeps its"),
        ("spec.queue=team", "--set spec.queue: 'none' cannot change in a run that exists"),
        ("spec.algorithm.config.learning_rat=1", "did you mean 'learning_rate'"),
    ],
)
def test_what_a_run_in_a_cluster_keeps_is_refused_with_nothing_changed(
    server: Server, change: str, problem: str
) -> None:
    run = create()
    run.stop()
    before = server.store.get("ConfigMap", NAMESPACE, "cart")
    with pytest.raises(InvalidInput, match=problem):
        run.resume(changes=[change])
    assert server.store.get("ConfigMap", NAMESPACE, "cart") == before


def checkpoint(folder: Path, size: int = 1000) -> Path:
    (folder / "step-000000000020").mkdir(parents=True)
    (folder / "step-000000000020" / "manifest.json").write_text("{}")
    (folder / "step-000000000020" / "tensors.safetensors").write_bytes(random.Random(1).randbytes(size))
    return folder


def test_a_run_begins_at_a_checkpoint_that_goes_along_to_its_learner_alone(server: Server, tmp_path: Path) -> None:
    start = checkpoint(tmp_path / "start")
    client = Client("kube", context=CONTEXT, namespace=NAMESPACE)
    run = client.create(experiment(), start=start)
    (name,) = [name for name in server.store.names("ConfigMap") if name.startswith("cart-start-")]
    data = base64.b64decode(server.store.get("ConfigMap", NAMESPACE, name)["binaryData"]["start.tar.gz"])
    learner, actor = (server.store.get("Job", NAMESPACE, f"cart-{role}") for role in ("learner", "actor"))
    mounted = {each["name"]: each for each in learner["spec"]["template"]["spec"]["volumes"]}
    assert mounted["start"]["configMap"]["name"] == name
    assert "start" not in {each["name"] for each in actor["spec"]["template"]["spec"]["volumes"]}
    wirings = server.store.get("ConfigMap", NAMESPACE, mounted["wiring"]["configMap"]["name"])["data"]
    assert json.loads(wirings["actor.json"])["start_archive"] == ""
    wired = replace(Wiring.of(json.loads(wirings["learner.json"])), run_folder=str(tmp_path / "run"))
    archive = tmp_path / "archive"
    archive.write_bytes(data)
    (tmp_path / "run").mkdir()
    for _ in range(2):
        begin_at_checkpoint(replace(wired, start_archive=str(archive)))
        found = tmp_path / "run" / "checkpoints" / "step-000000000020"
        assert (found / "tensors.safetensors").read_bytes() == (start / found.name / "tensors.safetensors").read_bytes()
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints"]
    # the next attempt begins at its own checkpoint
    run.stop()
    run.resume()
    again = server.store.get("Job", NAMESPACE, "cart-learner")["spec"]["template"]["spec"]["volumes"]
    assert "start" not in {each["name"] for each in again}


def test_a_checkpoint_that_no_object_holds_goes_by_the_store_or_is_refused(server: Server, tmp_path: Path) -> None:
    start = checkpoint(tmp_path / "start", 1_000_000)
    client = Client("kube", context=CONTEXT, namespace=NAMESPACE)
    with pytest.raises(
        InvalidInput, match="--from: a checkpoint of 1,000,002 bytes fits no object .* spec.storage.url"
    ):
        client.create(experiment(), start=start)
    assert server.store.names("Job") == []
    store = {"kind": "url", "url": (tmp_path / "store").as_uri()}
    client.create(experiment(storage=store), start=start)
    kept = tmp_path / "store" / "cart" / "checkpoints" / "step-000000000020"
    assert (kept / "tensors.safetensors").stat().st_size == 1_000_000
    assert not [name for name in server.store.names("ConfigMap") if name.startswith("cart-start-")]
