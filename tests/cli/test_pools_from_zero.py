"""Pools that have no node now: `create`, `diff` and `plan` know them from a cluster file, given or kept."""

import json
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run.home import home
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.cluster.store import cluster_folder
from tests.cli.terminal import surreal
from tests.orchestrator.documents import VALID
from tests.orchestrator.kube.apiserver import CONTEXT, api_server

NODES = Path(__file__).parents[1] / "provisioner/pools/data/nodes/minikube.json"
CLUSTER = f"""\
apiVersion: surreal.dev/v1alpha1
kind: Cluster
metadata: {{name: lab}}
spec:
  provider: existing
  context: {CONTEXT}
  pools:
    - {{name: learners, max: 3, labels: {{disk: fast}}, resources: {{cpu: 8, memory: 32Gi}}}}
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "experiment.yaml"
    path.write_text(VALID.replace("  roles:\n", "  roles:\n    learner: {pool: learners}\n"))
    return path


def test_a_pool_without_a_node_is_known_from_the_cluster_file_that_is_given_or_that_up_kept(
    place: LocalBackend, tmp_path: Path, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    with api_server(tmp_path) as server:
        server.api().post("Node", json.loads(NODES.read_text())["nodes"][0])
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        create = ("create", experiment, "--on", "kube", "--dry-run", "client")
        unknown = surreal(*create)
        assert unknown.returncode == 2 and "unknown pool 'learners'" in unknown.stderr
        for verb in (create, ("diff", experiment, "--on", "kube"), ("plan", experiment, "--on", "kube")):
            given = surreal(*verb, "--pools", file)
            assert "unknown pool" not in given.stderr, given.stderr
            assert given.returncode == (1 if verb[0] == "diff" else 0), given.stderr
        folder = cluster_folder(home(), "lab")
        folder.write(load_cluster(file), {})
        assert surreal(*create).returncode == 2, "a cluster that is only planned has no pools"
        folder.enter("up")
        kept = surreal(*create)
        assert kept.returncode == 0, kept.stderr


def test_the_hint_for_a_pool_that_must_grow_names_the_option_that_there_is(
    place: LocalBackend, tmp_path: Path, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.write_text(VALID.replace("replicas: 2", "replicas: 64"))
    with api_server(tmp_path) as server:
        server.api().post("Node", json.loads(NODES.read_text())["nodes"][0])
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        done = surreal("plan", experiment, "--on", "kube")
        assert "-f" not in done.stderr.split()
        assert "--pools" in done.stderr
