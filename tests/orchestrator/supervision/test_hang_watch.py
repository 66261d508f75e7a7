"""The watch over processes that do not move: when one is said to be stuck, and when it is ended."""

from typing import Any

import pytest

from surreal.orchestrator.backends.local import hang_watch
from surreal.orchestrator.backends.local.hang_watch import HangWatch
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.supervision.record import ProcessRecord
from surreal.protocol.worker.pulse import Reading
from tests.orchestrator.runs import plan


class Shown:
    """A launcher whose board shows one reading."""

    reading: Reading | None = None

    @property
    def board(self) -> "Shown":
        return self

    def slot(self, *_: object) -> int:
        return 0

    def read(self, slot: int) -> Reading | None:
        return self.reading


class Alive(ManagedProcess):
    """A process that runs."""

    @property
    def is_running(self) -> bool:
        return True


class Clock:
    """A clock that the test turns."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the watch."""
    clock = Clock()
    monkeypatch.setattr(hang_watch, "time", clock)
    return clock


def watched(limit: float, clock: Clock) -> tuple[HangWatch, Shown, Alive]:
    """A watch with one process."""
    shown: Any = Shown()
    return HangWatch(shown, limit, clock.now), shown, Alive(plan().role("actor"), ProcessRecord("actor", 0))


def test_a_process_that_stands_still_is_named_before_its_limit_and_ended_at_it(clock: Clock) -> None:
    watch, shown, process = watched(40.0, clock)
    for second in range(0, 41, 4):
        shown.reading = Reading(second, float(second), "env.step (my_env.py:12)")
        hung = [how for _, how in watch.look([process])]
        clock.now += 4
        assert (process.record.reason == "is inside env.step (my_env.py:12)") == (second >= 20)
        assert hung == (["is inside env.step (my_env.py:12) for 40 s"] if second == 40 else [])


def test_one_that_moves_again_is_no_longer_named(clock: Clock) -> None:
    watch, shown, process = watched(40.0, clock)
    shown.reading = Reading(1, 30.0, "read (my_env.py:3)")
    list(watch.look([process]))
    assert process.record.since is not None
    shown.reading = Reading(2, 0.0, "")
    list(watch.look([process]))
    assert process.record.since is None and process.record.reason == ""


def test_one_that_says_what_it_does_is_named_at_once_and_until_it_is_done(clock: Clock) -> None:
    watch, shown, process = watched(300.0, clock)
    shown.reading = Reading(1, 0.0, "", "compiles the gradients")
    list(watch.look([process]))
    began = process.record.since
    clock.now += 5
    list(watch.look([process]))
    assert process.record.reason == "compiles the gradients" and process.record.since == began == 1000
    shown.reading = Reading(2, 0.0, "")
    list(watch.look([process]))
    assert process.record.since is None and process.record.reason == ""


def test_time_that_the_machine_slept_does_not_count(clock: Clock) -> None:
    watch, shown, process = watched(40.0, clock)
    shown.reading = Reading(1, 0.0, "")
    list(watch.look([process]))
    clock.now += 3600
    assert list(watch.look([process])) == []
    assert process.watch.still == 8.0


def test_without_a_limit_no_process_is_ended_and_it_is_named_after_half_a_minute(clock: Clock) -> None:
    watch, shown, process = watched(0.0, clock)
    shown.reading = Reading(1, 5000.0, "")
    assert list(watch.look([process])) == []
    assert process.record.reason == "does not move"
    assert watch.next_look == clock.now + 5.0


def test_a_start_that_takes_long_is_no_hang(clock: Clock) -> None:
    watch, _, process = watched(10.0, clock)
    for _ in range(15):
        clock.now += 2.0
        assert list(watch.look([process])) == []
    assert process.record.reason == "is starting"
