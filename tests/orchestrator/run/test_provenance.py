"""The versions that a run was started with, and what a resumed run says of others."""

import json
from pathlib import Path

import pytest

from surreal.orchestrator.run.home import Folder, write_json
from surreal.orchestrator.run.provenance import changed_versions, provenance, versions
from surreal.orchestrator.supervision.record import note_versions
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.runs import plan


def made(tmp_path: Path, **other: str) -> Folder:
    """The folder of a run that was started with other versions of some packages."""
    folder = Folder(tmp_path)
    folder.logs.mkdir()
    data = provenance(tmp_path)
    write_json(folder.provenance, {**data, "versions": {**data["versions"], **other}})
    return folder


def test_nothing_changed_is_nothing_said(tmp_path: Path) -> None:
    folder = made(tmp_path)
    note_versions(folder, plan(), accept_changes=False)
    assert not folder.supervisor_log.exists()


def test_another_mujoco_is_said_in_the_log_and_once(tmp_path: Path) -> None:
    folder = made(tmp_path, mujoco="3.3.0")
    now = versions()["mujoco"]
    note_versions(folder, plan(), accept_changes=False)
    assert f"resumed with mujoco 3.3.0 -> {now}" in folder.supervisor_log.read_text()
    assert changed_versions(json.loads(folder.provenance.read_text())) == [], "the newest record counts"


def test_a_run_that_promised_equal_numbers_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, numpy="1.0")
    exact = plan().model_copy(update={"config": {"max_staleness": 0}})
    with pytest.raises(InvalidInput, match=r"numpy 1\.0 -> .* max_staleness: 0 promises .*--accept-changes"):
        note_versions(folder, exact, accept_changes=False)
    note_versions(folder, exact, accept_changes=True)
    assert "resumed with numpy 1.0" in folder.supervisor_log.read_text()


def test_the_distribution_of_the_environment_is_among_the_versions() -> None:
    assert "click" in versions("click.testing:Task-v0")
    assert versions("HalfCheetah-v5") == versions() == versions("./nowhere:Task")
