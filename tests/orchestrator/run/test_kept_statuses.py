"""Statuses that are kept: of runs whose record says that they are over, until it says another thing."""

from pathlib import Path

import pytest

from surreal.orchestrator.run.home import Folder, write_json
from surreal.orchestrator.run.status import State
from surreal.orchestrator.supervision.observe import Statuses
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord


def record(folder: Folder, state: State, number: int = 1) -> None:
    RunRecord(state, processes=[ProcessRecord("learner", 0)], number=number).write(folder)


@pytest.mark.parametrize("state", ["succeeded", "failed", "stopped"])
def test_a_run_that_is_over_is_read_once_and_again_when_its_record_changes(tmp_path: Path, state: State) -> None:
    folder, statuses = Folder(tmp_path), Statuses()
    record(folder, state)
    first = statuses.of(folder)
    assert first.state == state and statuses.of(folder) is first
    record(folder, "stopped", number=2)
    assert statuses.of(folder) is not first and statuses.of(folder).state == "stopped"


def test_the_spare_record_counts_too(tmp_path: Path) -> None:
    folder, statuses = Folder(tmp_path), Statuses()
    record(folder, "stopped")
    folder.spare_status.write_text(" " * 4000)
    assert statuses.of(folder).state == "stopped"
    RunRecord("failed", "the disk is full", number=2).write_spare(folder)
    assert statuses.of(folder).reason == "the disk is full"


def test_a_run_without_a_supervisor_is_read_each_time(tmp_path: Path) -> None:
    folder, statuses = Folder(tmp_path), Statuses()
    record(folder, "running")
    assert statuses.of(folder).state == "failed" and statuses.of(folder).progress.steps == 0
    write_json(folder.progress, {"at": 1.0, "steps": 7})
    assert statuses.of(folder).progress.steps == 7


@pytest.mark.parametrize(
    "damage", ["", "{", "[1]", '{"config": [1]}', '{"labels": 5}', '{"config": "abc", "labels": "abc"}']
)
def test_a_damaged_plan_says_neither_labels_nor_a_goal(tmp_path: Path, damage: str) -> None:
    record(folder := Folder(tmp_path), "succeeded")
    folder.plan.write_text(damage)
    status = Statuses().of(folder)
    assert (status.state, status.reason, status.labels) == ("succeeded", "", {})
