"""A sweep in a cluster fills the pools that it has, waits for room, and goes on when there is some."""

from pathlib import Path

import pytest

import surreal
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.sweeps.driver import Driver
from surreal.orchestrator.sweeps.folder import SweepFolder
from surreal.orchestrator.sweeps.load import Sweep
from surreal.orchestrator.sweeps.model import SweepDocument
from tests.orchestrator.kube.apiserver import CONTEXT, NAMESPACE, Server, api_server
from tests.provisioner.nodes import node

PODS_OF_A_RUN = 4


def schedule(server: Server, room: int) -> None:
    """Have as many pods run as there is room for; the rest wait, as the scheduler leaves them."""
    for number, name in enumerate(server.store.names("Pod")):
        phase = "Running" if number < room else "Pending"
        server.store.patch("Pod", NAMESPACE, name, {"status": {"phase": phase}}, "scheduler", False)


def runs(server: Server) -> list[str]:
    return sorted(name.removesuffix("-learner") for name in server.store.names("Job") if name.endswith("-learner"))


def test_a_sweep_starts_runs_until_one_waits_and_goes_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(SweepFolder, "driven", lambda _: True)
    experiment = surreal.Experiment("pole", "CartPole-v1", surreal.PPO(total_steps=1000))
    spec = {"experiment": "pole.yaml", "grid": {"spec.algorithm.config.learning_rate": [1e-4, 2e-4, 3e-4, 4e-4]}}
    document = SweepDocument.model_validate({"metadata": {"name": "lr"}, "spec": spec})
    with api_server(tmp_path, runs_jobs=True, pods_begin="Pending") as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        server.store.create("Node", "", node("one", cpu=64, memory="256Gi"), "kubelet", False)
        location = Location("kube", NAMESPACE, CONTEXT, str(server.kubeconfig))
        driver = Driver(SweepFolder.make(Sweep(document, experiment), location))
        # room for two runs and a half: names of pods are in the order of their runs
        for wanted in (1, 2, 3, 3):
            driver.step()
            pods = PODS_OF_A_RUN * wanted
            server.store.await_count("Pod", pods)
            schedule(server, PODS_OF_A_RUN * 2 + 2)
            assert runs(server) == [f"lr-{number}-s1" for number in range(wanted)]
        over = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-28T12:00:00Z"}
        server.store.patch("Job", NAMESPACE, "lr-0-s1-learner", {"status": {"conditions": [over]}}, "job", False)
        schedule(server, 100)
        driver.step()
        assert runs(server) == [f"lr-{number}-s1" for number in range(4)]
        assert [trial.state for trial in driver.folder.read().trials] == ["succeeded", "running", "running", "running"]
