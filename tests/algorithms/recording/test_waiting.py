"""A learner that waits has told what it had learned before."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

from surreal.algorithms.training_loop import ROW_SECONDS, ArrayState, Trainer, TrainingLoop, Waiting
from surreal.protocol.errors import ExitCode, Stopping
from surreal.protocol.wire.packet import Version
from tests.algorithms.recording.test_recorder import processes, rows


class Counts(Trainer[int]):
    """A trainer that counts steps and learns nothing."""

    state: ArrayState

    def learn(self, data: int) -> Mapping[str, float]:
        self.state.steps += data
        self.state.updates += 1
        return {"loss": 1.0}

    def publish(self, version: Version) -> None:
        pass


class Stuck(Counts):
    """A trainer whose third batch never comes."""

    def __init__(self, folder: Path) -> None:
        self.state, self.total_steps = ArrayState({"w": np.zeros(1)}, 100), 100
        self.folder, self.told = folder, list[int]()

    def collect(self, waiting: Waiting) -> int:
        began = perf_counter()
        while self.state.updates == 2:
            waiting("actor/0", perf_counter() - began)
            sleep(0.05)
            self.told = [row["updates"] for row in rows(self.folder) if "updates" in row]
            if self.told or perf_counter() - began > 60 * ROW_SECONDS:
                raise Stopping
        return 5


def test_updates_before_a_wait_are_told_while_it_lasts(tmp_path: Path) -> None:
    with processes(tmp_path / "run") as (learner,):
        trainer = Stuck(tmp_path / "run")
        assert TrainingLoop(learner, trainer).run() is ExitCode.PREEMPTED
    assert trainer.told == [2]


class Delayed(Counts):
    """A trainer of which every second update has a number more, such as the loss of a delayed actor."""

    def __init__(self) -> None:
        self.state, self.total_steps = ArrayState({"w": np.zeros(1)}, 5), 5

    def collect(self, waiting: Waiting) -> int:
        return 1

    def learn(self, data: int) -> Mapping[str, float]:
        metrics = super().learn(data)
        return {**metrics, "actor_loss": 2.0} if self.state.updates % 2 else {**metrics, "late": 3.0}


def test_numbers_that_some_updates_lack_are_the_means_of_those_that_have_them(tmp_path: Path) -> None:
    with processes(tmp_path / "run") as (learner,):
        loop = TrainingLoop(learner, Delayed())
        loop.recorder.await_last_evaluation = lambda *_: None  # type: ignore[method-assign]
        assert loop.run() is ExitCode.DONE
    last = [row for row in rows(tmp_path / "run") if "updates" in row][-1]
    assert (last["loss"], last["actor_loss"], last["late"]) == (1.0, 2.0, 3.0)


class Sprint(Counts):
    """A trainer whose last update comes at once after a row was written."""

    def __init__(self) -> None:
        self.state, self.total_steps = ArrayState({"w": np.zeros(1)}, 300), 300

    def collect(self, waiting: Waiting) -> int:
        sleep(0.6 * ROW_SECONDS if self.state.updates < 2 else 0)
        return 100


def test_a_last_row_that_comes_at_once_has_the_rate_of_the_row_before_too(tmp_path: Path) -> None:
    with processes(tmp_path / "run") as (learner,):
        loop = TrainingLoop(learner, Sprint())
        loop.recorder.await_last_evaluation = lambda *_: None  # type: ignore[method-assign]
        assert loop.run() is ExitCode.DONE
    first, last = [row for row in rows(tmp_path / "run") if "updates" in row]
    assert (first["steps"], last["steps"]) == (200, 300)
    assert last["steps_per_second"] < 300 / (1.2 * ROW_SECONDS) * 1.01
    assert first["rate_seconds"] > ROW_SECONDS
    progress = json.loads((tmp_path / "run" / "progress.json").read_text())
    assert progress["rate_seconds"] == last["rate_seconds"] > 1.2 * ROW_SECONDS
