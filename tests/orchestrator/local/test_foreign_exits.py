"""Exits that foreign code causes: only what a worker recorded about its role's return makes a run succeed."""

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.backends.restart_policy import Backoff, Outcome, Verdict, decide, outcome_of
from surreal.protocol.worker.termination import TerminationMessage
from tests.orchestrator.runs import begun, create, ended, events, finish, plan, process, until

CRASH = "something in it ended the process with exit code"


@pytest.mark.parametrize(
    ("code", "record", "outcome"),
    [
        (0, None, Outcome(1, f"{CRASH} 0")),
        (3, None, Outcome(1, f"{CRASH} 3")),
        (4, None, Outcome(1, f"{CRASH} 4")),
        (1, None, Outcome(1)),
        (-9, None, Outcome(-9)),
        (0, TerminationMessage("DONE"), Outcome(0)),
        (5, TerminationMessage("DONE"), Outcome(0)),
        (-11, TerminationMessage("DONE"), Outcome(0)),
        (0, TerminationMessage("FAILED", "ValueError: 3"), Outcome(1, "ValueError: 3")),
        (4, TerminationMessage("PREEMPTED", "SIGTERM"), Outcome(4, "SIGTERM")),
    ],
)
def test_the_record_of_the_worker_outweighs_its_exit_status(
    code: int, record: TerminationMessage | None, outcome: Outcome
) -> None:
    assert outcome_of(code, record) == outcome


def test_of_the_replicas_of_the_role_that_ends_the_run_the_first_decides() -> None:
    role = plan().role("learner")
    verdicts = [decide(role, 0, feeds=False, backoff=Backoff(), index=index) for index in range(3)]
    assert verdicts == [Verdict.SUCCEED, Verdict.RETIRE, Verdict.RETIRE]


@pytest.mark.parametrize("learner", ["leaver", "quitter"])
def test_a_learner_that_foreign_code_ends_never_makes_a_run_a_success(place: LocalBackend, learner: str) -> None:
    name = create(place, plan(learner=learner))
    status = ended(place, name)
    assert status.state == "failed"
    assert ("exit(None) in" if learner == "leaver" else CRASH) in status.reason


def test_an_actor_that_foreign_code_ends_is_started_again(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="quitter"))
    begun(place, name, "evaluator/0", times=3)
    assert process(place, name, "evaluator").state != "done"
    finish(place, name)
    assert ended(place, name).state == "succeeded"
    assert f"evaluator/0 failed (exit 1): {CRASH} 0; restarting" in events(place, name)


def test_a_learner_that_a_library_kills_after_its_return_was_done(place: LocalBackend) -> None:
    name = create(place, plan(learner="crasher_at_exit"))
    begun(place, name, "learner")
    finish(place, name)
    assert ended(place, name).state == "succeeded"


def test_the_second_replica_of_the_learner_may_be_done_first(place: LocalBackend) -> None:
    planned = plan(learner="short_second")
    two = tuple(role.model_copy(update={"replicas": 2}) if role.ends_run else role for role in planned.roles)
    name = create(place, planned.model_copy(update={"roles": two}))
    until(lambda: process(place, name, "learner", 1).state == "done", "the second one is done")
    assert not place.status(name).over
    finish(place, name)
    assert ended(place, name).state == "succeeded"
