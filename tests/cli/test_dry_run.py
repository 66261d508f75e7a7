"""`surreal create --dry-run`: what would be made, checked by the cluster if asked, and nothing made."""

import json
from pathlib import Path

import gymnasium
import pytest

from surreal import PPO
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.run import home
from surreal.orchestrator.run.provenance import provenance
from surreal.protocol.errors import ExitCode
from tests.algorithms.saved import save_ppo
from tests.cli.terminal import experiment_file, surreal
from tests.orchestrator.kube.apiserver import api_server
from tests.orchestrator.kube.apistore import quota
from tests.orchestrator.kube.test_preflight import EVERYTHING

NODE = json.loads((Path(__file__).parents[1] / "provisioner/pools/data/nodes/minikube.json").read_text())["nodes"][0]


def test_here_it_lists_the_processes(place: LocalBackend, tmp_path: Path) -> None:
    done = surreal("create", experiment_file(tmp_path), "--dry-run=client", "-o", "json")
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "processes actor x 1" in json.loads(done.stdout)
    assert place.names() == []
    asked = surreal("create", experiment_file(tmp_path), "--dry-run=server")
    assert asked.returncode == ExitCode.INVALID
    assert "--dry-run=client, or --on kube" in asked.stderr


def test_in_a_cluster_it_lists_the_objects_and_the_server_may_check_them(
    place: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(tmp_path) as server:
        server.api().post("Node", NODE)
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        before = server.store.names()
        file = experiment_file(tmp_path)
        for where in ("client", "server"):
            done = surreal("create", file, "--on", "kube", f"--dry-run={where}")
            assert done.returncode == ExitCode.DONE, done.stderr
            assert {"ConfigMap pole", "Job pole-actor"} <= set(done.stdout.splitlines())
        server.store.admission.append(quota("none", "Job", 0, lambda: 0))
        done = surreal("create", file, "--on", "kube", "--dry-run=server")
        assert done.returncode == ExitCode.FAILED
        assert "quota none of namespace lab is too small to apply jobs/pole-learner" in done.stderr
        assert server.store.names() == before


def test_a_name_that_is_taken_in_a_cluster_is_refused_before_any_warning(
    place: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(tmp_path) as server:
        server.api().post("Node", NODE)
        server.store.rules.allowed = EVERYTHING - {("create", "pods/exec"), ("get", "pods/exec")}
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        create = ("create", "-d", experiment_file(tmp_path), "--on", "kube")
        first, second = surreal(*create), surreal(*create, "--set", "spec.seed=2")
    assert first.returncode == ExitCode.DONE, first.stderr
    assert "warning: without the rights get, create pods/exec" in first.stderr
    assert second.returncode == ExitCode.INVALID
    assert "'pole'" in second.stderr and "warning" not in second.stderr


def test_a_dry_run_of_a_fork_is_held_to_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path))
    made = Experiment("pole", "CartPole-v1", PPO(total_steps=4000))
    folder = home.new_folder(made.name)
    folder.make()
    folder.experiment.write_text(made.to_yaml())
    home.write_json(folder.provenance, provenance(tmp_path, None, "CartPole-v1"))
    save_ppo(folder.path, gymnasium.make("CartPole-v1"), "CartPole-v1")
    manifest = next(folder.checkpoints.glob("step-*/manifest.json"))
    manifest.write_text(manifest.read_text().replace('"algorithm": "any"', '"algorithm": "ppo"'))
    fork = ("create", "--from", "pole", "--dry-run", "--set", "metadata.name=fork")
    done = surreal(*fork)
    assert done.returncode == 0 and "nothing was made" in done.stderr
    refused = surreal(*fork, "--set", "spec.algorithm.config.hidden=[32]")
    assert refused.returncode == 2
    assert "hidden: pole learned with [64, 64], not with [32], and a fork keeps that" in refused.stderr
