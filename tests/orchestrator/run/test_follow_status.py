"""Watching a run survives outages of its place, and an outage is never taken for the run's failure."""

import time
from collections.abc import Callable
from typing import cast

import pytest

from surreal.orchestrator.backends.base import Backend
from surreal.orchestrator.client import Run
from surreal.orchestrator.run.follow_status import follow_status
from surreal.orchestrator.run.status import State, Status
from surreal.protocol.errors import ExitCode, Unreachable
from surreal.protocol.telemetry.gauges import Progress


def status(state: State) -> Status:
    return Status("toy", "kube", "", state, "", "", Progress(), {}, ())


def probes(*answers: State | None) -> Callable[[], Status]:
    """A place that is out of reach where an answer is None."""
    left = list(answers)

    def probe() -> Status:
        answer = left.pop(0)
        if answer is None:
            raise Unreachable("the API server is silent")
        return status(answer)

    return probe


def test_an_outage_is_said_once_and_the_statuses_go_on_after_it() -> None:
    said: list[str] = []
    seen = [each.state for each in follow_status(probes("running", None, None, "running", "succeeded"), 0, said.append)]
    assert seen == ["running", "running", "succeeded"]
    assert said == [
        "the API server is silent; the run itself goes on, trying again for 15 min",
        "the run can be seen again",
    ]


def test_a_place_that_stays_away_is_an_error_of_its_own_not_the_runs_failure() -> None:
    with pytest.raises(Unreachable, match="no answer for 0 min. The run itself goes on") as caught:
        list(follow_status(lambda: probes(None)(), 0.01, print, patience=0.02))
    assert caught.value.exit_code is ExitCode.UNREACHABLE


class Asked:
    """A place in which a run goes on for three looks."""

    poll_interval = 2.0
    remote = False

    def __init__(self) -> None:
        self.looks = 0

    def status(self, _: str) -> Status:
        self.looks += 1
        return status("running" if self.looks <= 3 else "succeeded")

    def reconcile(self, _: str) -> None:
        pass


def test_waiting_asks_no_more_often_than_the_place_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    place = Asked()
    assert Run("toy", cast(Backend, place)).wait().over
    assert pauses == [place.poll_interval] * 3 and place.looks == 3 + 1 + 1


def test_a_deadline_ends_the_watch_while_the_run_goes_on() -> None:
    deadline = time.monotonic() + 0.05
    seen = list(follow_status(lambda: status("running"), 0.01, print, deadline))
    assert seen and not seen[-1].over
