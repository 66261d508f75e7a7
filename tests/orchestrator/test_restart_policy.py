"""The rules of restarts: what follows from an exit code."""

import pytest

from surreal.orchestrator.backends.restart_policy import (
    Backoff,
    Outcome,
    Verdict,
    decide,
    describe,
    feeds_the_run,
    ordinal,
)
from surreal.protocol.errors import ExitCode
from tests.orchestrator.documents import minimal
from tests.orchestrator.kube.rendered import planned
from tests.orchestrator.runs import plan

LEARNER, ACTOR = plan().role("learner"), plan().role("actor")
LASTING = LEARNER.model_copy(update={"ends_run": False})


@pytest.mark.parametrize(
    ("code", "learner", "lasting", "actor"),
    [
        (ExitCode.DONE, Verdict.SUCCEED, Verdict.RETIRE, Verdict.RETIRE),
        (ExitCode.PREEMPTED, Verdict.AGAIN, Verdict.AGAIN, Verdict.AGAIN),
        (ExitCode.FATAL, Verdict.FAIL, Verdict.FAIL, Verdict.FAIL),
        (ExitCode.INVALID, Verdict.FAIL, Verdict.FAIL, Verdict.FAIL),
        (ExitCode.FAILED, Verdict.AGAIN, Verdict.AGAIN, Verdict.AGAIN),
        (-9, Verdict.AGAIN, Verdict.AGAIN, Verdict.AGAIN),
        (137, Verdict.AGAIN, Verdict.AGAIN, Verdict.AGAIN),
    ],
)
def test_the_exit_code_decides(code: int, learner: Verdict, lasting: Verdict, actor: Verdict) -> None:
    verdicts = [decide(role, code, feeds=True, backoff=Backoff(1, 1)) for role in (LEARNER, LASTING, ACTOR)]
    assert verdicts == [learner, lasting, actor]


def test_a_fatal_process_that_the_run_can_do_without_is_retired() -> None:
    assert decide(ACTOR, ExitCode.FATAL, feeds=False, backoff=Backoff()) is Verdict.RETIRE


def test_who_sends_only_telemetry_does_not_feed_the_run() -> None:
    assert feeds_the_run(plan(), "actor")
    assert not feeds_the_run(plan(), "evaluator")


@pytest.mark.parametrize(("algorithm", "role"), [("bc", "dataset"), ("dqn", "replay")])
def test_who_answers_the_learner_feeds_the_run(algorithm: str, role: str) -> None:
    config = {"dataset": "/data"} if algorithm == "bc" else {}
    env = {"id": "CartPole-v1"}
    made = planned(minimal(env=env, algorithm={"name": algorithm, "config": config}, roles={}))
    assert feeds_the_run(made, role)
    assert not feeds_the_run(made, "evaluator")
    verdict = decide(made.role(role), ExitCode.FATAL, feeds_the_run(made, role), Backoff())
    assert verdict is Verdict.FAIL


def test_eleven_failures_without_progress_fail_the_run_if_it_needs_the_process() -> None:
    backoff = Backoff()
    verdicts = []
    for _ in range(11):
        backoff.count(lived=1.0, progressed=False)
        verdicts.append(decide(LEARNER, -9, feeds=False, backoff=backoff))
        assert decide(ACTOR, -9, feeds=False, backoff=backoff) is Verdict.AGAIN
        assert decide(ACTOR, -9, feeds=True, backoff=backoff) is verdicts[-1]
    assert verdicts == [Verdict.AGAIN] * 10 + [Verdict.FAIL]


def test_progress_forgives_the_failures_before_it() -> None:
    backoff = Backoff(in_a_row=10, without_progress=10)
    backoff.count(lived=1.0, progressed=True)
    assert (backoff.without_progress, backoff.delay) == (1, 0.2)


def test_the_back_off_doubles_to_a_minute_and_begins_anew_after_a_healthy_minute() -> None:
    backoff, delays = Backoff(), []
    for _ in range(11):
        backoff.count(lived=1.0, progressed=False)
        delays.append(backoff.delay)
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]
    backoff.count(lived=60.0, progressed=False)
    assert backoff.delay == 0.2


def test_exits_are_said_in_words() -> None:
    codes = (-9, 1, 3, 4, 137)
    assert [describe(code) for code in codes] == [
        "killed (signal 9)",
        "failed (exit 1)",
        "cannot go on (exit 3)",
        "preempted after its checkpoint (exit 4)",
        "failed (exit 137)",
    ]
    numbers = (1, 2, 3, 4, 11, 12, 21, 111)
    assert [ordinal(number) for number in numbers] == ["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "111th"]


def failed(backoff: Backoff, causes: list[str], begun: bool = False) -> list[Verdict]:
    """What follows from these failures of an actor, one after the other."""
    verdicts = []
    for cause in causes:
        backoff.count(1.0, False, Outcome(1, cause), begun)
        verdicts.append(decide(ACTOR, 1, True, backoff))
    return verdicts


def test_three_equal_failures_before_the_first_step_are_enough_whatever_their_numbers() -> None:
    equal = ["ValueError: 1 at 0x7f00", "ValueError: 2 at 0x7f01", "ValueError: 3 at 0x7f02"]
    assert failed(Backoff(), equal) == [Verdict.AGAIN, Verdict.AGAIN, Verdict.FAIL]
    assert failed(Backoff(), equal, begun=True) == [Verdict.AGAIN] * 3
    assert failed(Backoff(), ["a", "b", "a", "b", "a"]) == [Verdict.AGAIN] * 5


def test_a_role_that_the_run_can_do_without_never_fails_it() -> None:
    backoff = Backoff()
    for _ in range(20):
        backoff.count(1.0, False, Outcome(1, "same"), False)
    assert decide(ACTOR, 1, False, backoff) is Verdict.AGAIN
