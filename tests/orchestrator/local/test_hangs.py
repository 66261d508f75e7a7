"""Processes that live and do not work: they are said to hang, ended, and started again."""

import os
import signal

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal
from tests.orchestrator.runs import begun, create, events, pid, plan, process, until


def impatient(planned: Plan, seconds: float = 4.0) -> Plan:
    """The plan with a short limit."""
    return planned.model_copy(update={"hang_seconds": seconds})


def test_a_frozen_process_is_ended_and_started_again(place: LocalBackend) -> None:
    name = create(place, impatient(plan()))
    begun(place, name, "actor/1")
    os.kill(pid(place, name, "actor", 1), signal.SIGSTOP)
    begun(place, name, "actor/1", times=2)
    assert "actor/1 does not answer (frozen, or inside a call that blocks Python) for" in events(place, name)
    assert "actor/1 killed (signal 9): it hung: it does not answer" in events(place, name)
    assert process(place, name, "actor", 0).restarts == 0, "one that waits for the end of the run does not hang"


def test_a_stuck_working_thread_is_ended_and_its_log_says_where_it_was(place: LocalBackend) -> None:
    name = create(place, impatient(plan(evaluator="stuck")))
    until(lambda: process(place, name, "evaluator").restarts >= 2, "it is ended again and again")
    said = events(place, name)
    assert "evaluator/0 is inside stuck (roles.py:" in said and "ended, its stacks are in its log" in said
    log = [line.text for line in place.logs(name, "evaluator")]
    assert any("roles.py" in line and "in stuck" in line for line in log), "the fault handler has printed the stacks"
    actors = [each.restarts for each in place.status(name).roles["actor"]]
    assert actors == [0, 0] and process(place, name, "learner").restarts == 0


def test_one_that_uses_its_channels_or_computes_does_not_hang(place: LocalBackend) -> None:
    name = create(place, impatient(plan(actor="spinning", evaluator="stuck")))
    until(lambda: process(place, name, "evaluator").restarts >= 2, "the limit has passed twice")
    assert [each.restarts for each in place.status(name).roles["actor"]] == [0, 0]


@pytest.mark.slow
def test_never_means_never(place: LocalBackend) -> None:
    name = create(place, impatient(plan(evaluator="stuck"), 0.0))
    record = home.find(name)
    until(lambda: any(each.since for each in RunRecord.read(record).processes), "it is said to be stuck")
    assert process(place, name, "evaluator").restarts == 0
    assert "evaluator/0 is inside stuck (roles.py:" in place.status(name).reason
    shown = surreal("list")
    assert shown.returncode == ExitCode.DONE and "toy: evaluator/0 is inside stuck" in shown.stdout


def test_a_supervisor_that_was_stopped_itself_ends_nobody(place: LocalBackend) -> None:
    name = create(place, impatient(plan()))
    begun(place, name, "actor")
    pid(place, name, "learner")
    supervisor = RunRecord.read(home.find(name)).supervisor
    assert supervisor
    os.kill(supervisor, signal.SIGSTOP)
    steps = place.status(name).progress.steps
    # the learner takes a step each 10 ms at most
    until(lambda: place.status(name).progress.steps > steps + 600, "more than the limit has passed")
    os.kill(supervisor, signal.SIGCONT)
    steps = place.status(name).progress.steps
    until(lambda: place.status(name).progress.steps > steps + 100, "it has looked again")
    assert {each.restarts for role in place.status(name).roles.values() for each in role} == {0}
