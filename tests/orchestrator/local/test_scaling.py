"""Autoscaling of a local run: which processes are parked, started and retired, and the line that says why."""

import os
import shutil
from pathlib import Path
from typing import cast

import pytest

from surreal.orchestrator.autoscaling.decision import Decision
from surreal.orchestrator.backends.local import scaling, supervisor
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.backends.local.scaling import LocalScaling
from surreal.orchestrator.run.home import Folder, write_json
from surreal.orchestrator.supervision.judgement import Judgement
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from tests.orchestrator.runs import plan


class Running(ManagedProcess):
    """A process that is started and told to retire in words only."""

    alive = False
    told = 0

    @property
    def is_running(self) -> bool:
        return self.alive

    def retire(self, number: int) -> None:
        self.parked, self.told = True, self.told + 1


def test_processes_are_parked_started_and_retired_as_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = plan()
    actors = toy.role("actor").model_copy(update={"least": 1, "replicas": 3})
    toy = toy.model_copy(update={"roles": (actors, *toy.roles[1:])})
    processes = [Running(actors, ProcessRecord("actor", index)) for index in range(3)]
    said: list[str] = []
    managed = cast(list[ManagedProcess], processes)
    local = LocalScaling(Folder(tmp_path), toy, actors, managed, said.append)
    assert [each.parked for each in processes] == [False, True, True]
    assert [each.start_at is None for each in processes] == [False, True, True]
    processes[0].alive = True

    asked: list[int] = []
    decisions = iter([Decision(3, "the learner waits"), None, Decision(2, "actors wait")])
    monkeypatch.setattr(scaling, "signs_in", lambda *given: asked.append(given[-1]))
    monkeypatch.setattr(local._autoscaler, "look", lambda *_: next(decisions))
    local.look()
    assert [each.parked for each in processes] == [False] * 3 and all(each.start_at for each in processes[1:])
    for each in processes:
        each.alive = True
    local.look()
    local.look()
    assert [each.told for each in processes] == [0, 0, 1]
    # Those that were started count, though none has been heard from.
    assert asked == [1, 3, 3]
    assert said == ["actor: 1 -> 3: the learner waits", "actor: 3 -> 2: actors wait"]
    processes[2].alive = False
    processes[2].after_retiring()
    assert processes[2].start_at is None and processes[2].record.state == "pending"


@pytest.mark.parametrize("least", [None, 1])
def test_only_a_run_with_a_range_of_sizes_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int | None
) -> None:
    monkeypatch.setattr(supervisor, "Wakeup", lambda: None)
    toy = plan()
    toy = toy.model_copy(update={"roles": (toy.role("actor").model_copy(update={"least": least}), *toy.roles[1:])})
    folder = Folder(tmp_path / "toy")
    folder.make()
    write_json(folder.provenance, {"code": str(tmp_path)})
    folder.plan.write_text(toy.to_json())
    made = supervisor.Supervisor(folder)
    try:
        assert (made.scaling is not None) == (least is not None)
        assert made.best_steps == 0
    finally:
        for descriptor in (made.lifeline_end, made.launcher.lifeline, made.launcher.board.descriptor):
            os.close(descriptor)
        shutil.rmtree(made.record.sockets)


def test_the_steps_of_earlier_attempts_are_those_that_a_resumed_run_begins_with(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "toy")
    folder.make()
    write_json(folder.progress, {"steps": 70})
    process = Running(plan().role("actor"), ProcessRecord("actor", 0, incarnation=1))
    assert Judgement(folder, plan(), [process], RunRecord()).best_steps == 70
