"""Pools that have no node now: `create`, `diff` and `plan` know them from a cluster file, given or kept."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from surreal.cli.main import cli
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run.home import home
from surreal.protocol.errors import ExitCode
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.cluster.store import cluster_folder
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


def refused(*arguments: "str | Path") -> str:
    """Run a command in this process: the error that it ends with, empty for none."""
    done = CliRunner().invoke(cli, [*map(str, arguments)], standalone_mode=False)
    return str(done.exception or (done.stderr if done.return_value == ExitCode.INVALID else ""))


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
        assert "unknown pool 'learners'" in refused(*create)
        for verb in (create, ("diff", experiment, "--on", "kube"), ("plan", experiment, "--on", "kube")):
            assert refused(*verb, "--pools", file) == ""
        folder = cluster_folder(home(), "lab")
        folder.write(load_cluster(file), {})
        assert "unknown pool 'learners'" in refused(*create), "a cluster that is only planned has no pools"
        folder.enter("up")
        assert refused(*create) == ""


def test_hints_name_the_option_that_every_verb_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        assert "Name its file with --pools" in refused("pools", "--on", "kube")
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    assert refused("pools", "--pools", file) == ""
