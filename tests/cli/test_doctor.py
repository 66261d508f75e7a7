"""`surreal doctor`: one table, and an exit code that says whether something is missing."""

import json
from pathlib import Path

from tests.cli.test_main import surreal
from tests.orchestrator.kube.apiserver import api_server


def test_this_machine_can_train_without_what_it_does_not_need(tmp_path: Path) -> None:
    done = surreal("doctor", "-o", "json", SURREAL_HOME=str(tmp_path), PATH=str(tmp_path))
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    assert {found[name]["state"] for name in ("python", "torch", "environments", "SURREAL_HOME")} == {"ok"}
    assert "HalfCheetah-v5 steps" in found["environments"]["found"]
    for program in ("docker", "minikube", "kubectl", "helm", "terraform"):
        assert found[program]["state"] == "absent" and "https://" in found[program]["follows"]


def test_a_terminal_of_80_columns_shows_paths_and_addresses_whole(tmp_path: Path) -> None:
    env = {"SURREAL_HOME": str(tmp_path), "PATH": str(tmp_path)}
    found = json.loads(surreal("doctor", "-o", "json", **env).stdout)
    shown = surreal("doctor", COLUMNS="80", **env).stdout
    words = [word for each in found for word in f"{each['found']} {each['follows']}".split() if len(word) <= 56]
    # free room and load change from one call to the next
    words = [word for word in words if not word[0].isdigit()]
    assert [word for word in words if word not in shown] == [] and "https://helm.sh/docs/intro/install" in words
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_a_cluster_without_nodes_is_told_apart_from_a_good_one(tmp_path: Path) -> None:
    with api_server(tmp_path) as cluster:
        cluster.paths["/apis"] = {"groups": []}
        bad = surreal("doctor", "--on", "kube", KUBECONFIG=str(cluster.kubeconfig))
        ready = {"allocatable": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True"}]}
        cluster.api().post("Node", {"metadata": {"name": "one"}, "status": ready})
        good = surreal("doctor", "--on", "kube", KUBECONFIG=str(cluster.kubeconfig))
    assert (bad.returncode, good.returncode) == (1, 0), good.stdout
    assert bad.stderr.strip() == "missing: nodes" and good.stderr == ""
    assert "1 of 1 ready" in good.stdout


def test_a_cluster_that_nobody_named_is_a_sentence(tmp_path: Path) -> None:
    done = surreal("doctor", "--on", "kube", KUBECONFIG=str(tmp_path / "none"))
    assert done.returncode == 2
    assert "no kubeconfig at" in done.stderr and "Traceback" not in done.stderr
