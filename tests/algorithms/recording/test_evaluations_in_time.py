"""Evaluations are written down as they come: after each update, and during the wait for the next one."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surreal.algorithms.training_loop import ArrayState, Trainer, TrainingLoop, Waiting
from surreal.protocol.errors import ExitCode
from surreal.protocol.wire.packet import Version
from tests.algorithms.recording.test_recorder import processes, rows, until
from tests.protocol.sockets import waiting_packets

ACTORS = [f"actor/{index}" for index in range(12)]
UPDATES = 8


class Slow(Trainer[int]):
    """Updates in which every actor reports and asks for an answer, and the judge evaluates behind them."""

    socket: Any
    """The socket at which all reports arrive."""

    def __init__(self, folder: Path, judge: Any, actors: list[Any]) -> None:
        self.state, self.total_steps = ArrayState({}, 100 * UPDATES), 100 * UPDATES
        self._folder, self._judge, self._actors = folder, judge, actors
        self.sent = 0
        self.behind: list[int] = []
        """At each update, the evaluations that were sent and not yet written."""

    def collect(self, waiting: Waiting) -> int:
        self.behind.append(self.sent - self._written())
        if self.state.updates == UPDATES - 1:
            self._evaluate()
            deadline = time.monotonic() + 120
            while self._written() < self.sent and time.monotonic() < deadline:
                waiting("actor/3", 1.0)
            self.behind.append(self.sent - self._written())
        return 0

    def learn(self, data: int) -> Mapping[str, float]:
        for actor in self._actors:
            actor.send({}, {"share_acting": 0.5})
            actor._send_probe()  # a sender asks so when it was not heard for two seconds
        self._evaluate()
        # an update takes longer than a message needs
        until(lambda: waiting_packets(self.socket) >= 2 * len(self._actors) + 1)
        self.state.steps, self.state.updates = self.state.steps + 100, self.state.updates + 1
        return {"loss": 0.0}

    def publish(self, version: Version) -> None:
        pass

    def _evaluate(self) -> None:
        self.sent += 1
        report = {"eval_return": float(self.sent), "steps": self.state.steps, "version": [2, self.state.updates]}
        assert self._judge.send({}, report), "the stream is full: nothing is read"

    def _written(self) -> int:
        path = self._folder / "metrics" / "metrics.jsonl"
        return sum("eval_return" in row for row in rows(self._folder)) if path.exists() else 0


def test_evaluations_behind_the_reports_of_twelve_actors_are_written_within_two_updates(folder: Path) -> None:
    run = folder / "run"
    with processes(run, "judge/0", *ACTORS) as (learner, judge, *actors):
        until(lambda: len(learner.session.alive("actor")) == len(ACTORS))
        trainer = Slow(run, judge.sender("metrics"), [actor.sender("metrics") for actor in actors])
        loop = TrainingLoop(learner, trainer)
        channel = loop.recorder._channel
        assert channel is not None
        trainer.socket = channel._socket
        loop.recorder.await_last_evaluation = lambda *_: None  # type: ignore[method-assign]
        assert loop.run() is ExitCode.DONE
    assert max(trainer.behind) <= 2, trainer.behind
    assert trainer.behind[-1] == 0, "a learner that waits reads meanwhile"
