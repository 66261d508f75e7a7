"""Autoscaling of a local run: which processes are parked, started and retired, and the line that says why."""

from pathlib import Path
from typing import cast

import pytest

from surreal.orchestrator.autoscaling.decision import Decision
from surreal.orchestrator.backends.local import scaling
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.backends.local.scaling import LocalScaling
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.record import ProcessRecord
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
    local = LocalScaling(Folder(tmp_path), toy, managed, said.append)
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


def test_a_run_of_fixed_sizes_is_never_looked_at(tmp_path: Path) -> None:
    local = LocalScaling(Folder(tmp_path), plan(), [], print)
    assert local.next_look == float("inf")
