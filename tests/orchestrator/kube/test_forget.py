"""Runs of clusters that are gone are forgotten, and runs are found again whatever KUBECONFIG says by then."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from surreal.cli.main import cli
from surreal.orchestrator.run.location import Location, remember, remembered
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.kubeconfig import kubeconfig_files


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def test_a_run_of_a_cluster_that_is_gone_is_forgotten_on_demand(tmp_path: Path) -> None:
    remember("old", Location("kube", "lab", "deleted", str(tmp_path / "nowhere")))
    told = CliRunner().invoke(cli, ["delete", "old", "-y"])
    assert isinstance(told.exception, SurrealError)
    assert "If the cluster is gone for good: surreal delete --forget old" in str(told.exception)
    assert "old" in remembered()
    done = CliRunner().invoke(cli, ["delete", "--forget", "old"], standalone_mode=False)
    assert "forgot old" in done.output and "old" not in remembered()
    again = CliRunner().invoke(cli, ["delete", "--forget", "old"], standalone_mode=False)
    assert "old is not remembered" in again.output


def test_the_files_of_kubeconfig_are_noted_and_no_default_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert kubeconfig_files(None) is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", "a:/b")
    assert kubeconfig_files(None) == f"{tmp_path}/a:/b"
    assert kubeconfig_files("c") == f"{tmp_path}/c"
