"""The supervisor and real processes: what dies is started again, and a run ends as it should."""

import json
import os
import re
import signal
from pathlib import Path

import psutil

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.record import RunRecord
from tests.orchestrator.runs import (
    begun,
    create,
    ended,
    events,
    finish,
    is_dead,
    pid,
    pids,
    plan,
    process,
    until,
)


def test_a_run_succeeds_when_its_learner_is_done_and_leaves_no_process(place: LocalBackend) -> None:
    name = create(place)
    begun(place, name, "actor")
    begun(place, name, "evaluator")
    pid(place, name, "learner")
    running = pids(place, name)
    finish(place, name)
    status = ended(place, name)
    assert status.state == "succeeded"
    assert all(is_dead(each) for each in running) and len(running) == 4
    assert {each.state for role in status.roles.values() for each in role} == {"done"}


def test_a_killed_actor_is_started_again_and_only_it(place: LocalBackend) -> None:
    name = create(place)
    begun(place, name, "actor/1")
    os.kill(pid(place, name, "actor", 1), signal.SIGKILL)
    begun(place, name, "actor/1", times=2)
    finish(place, name)
    status = ended(place, name)
    assert status.state == "succeeded"
    assert [each.restarts for each in status.roles["actor"]] == [0, 1]
    assert [each.restarts for each in status.roles["learner"]] == [0]
    assert "actor/1 killed (signal 9), restarting in 0.2 s (1st time); only its unfinished work is lost" in events(
        place, name
    )


def test_a_killed_learner_is_started_again_with_a_larger_incarnation(place: LocalBackend) -> None:
    name = create(place)
    begun(place, name, "actor")
    os.kill(pid(place, name, "learner"), signal.SIGKILL)
    begun(place, name, "learner/0", times=2)
    wiring = Folder(Path(place.status(name).folder)).wiring / "learner-0.json"
    assert json.loads(wiring.read_text())["incarnation"] == 2
    finish(place, name)
    assert ended(place, name).state == "succeeded"
    assert (
        "learner/0 killed (signal 9), restarting in 0.2 s (1st time); it begins anew: it has no checkpoint yet"
        in events(place, name)
    )


def test_a_fatal_learner_fails_the_run_with_its_last_words(place: LocalBackend) -> None:
    name = create(place, plan(learner="hopeless"))
    status = ended(place, name)
    assert status.state == "failed"
    assert status.reason.startswith("learner/0 cannot go on (exit 3)")
    assert "no such environment: Walker9-v5" in status.reason
    assert status.roles["learner"][0].state == "failed"


def test_a_fatal_actor_fails_the_run_since_the_learner_would_starve(place: LocalBackend) -> None:
    name = create(place, plan(actor="hopeless"))
    assert ended(place, name).state == "failed"


def test_a_fatal_evaluator_is_retired_and_the_run_goes_on(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="hopeless"))
    until(lambda: process(place, name, "evaluator").state == "failed", "the evaluator has failed")
    pid(place, name, "learner")
    begun(place, name, "actor")
    assert "evaluator/0 cannot go on (exit 3): no such environment: Walker9-v5; the run goes on without it" in events(
        place, name
    )
    finish(place, name)
    status = ended(place, name)
    assert status.state == "succeeded" and status.roles["evaluator"][0].restarts == 0


def test_an_actor_that_returns_before_the_run_is_over_has_failed(place: LocalBackend) -> None:
    name = create(place, plan(actor="brief"))
    until(lambda: place.status(name).roles["actor"][0].restarts, "it is started again")
    assert re.search(r"actor/0 failed \(exit 1\): .*return.* before .*over; restarting", events(place, name))


def test_children_of_a_killed_process_are_killed(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="parent"))
    left = Path(place.status(name).folder) / "child"
    until(lambda: left.exists() and left.read_text(), "the evaluator has a child")
    child = int(left.read_text())
    os.kill(pid(place, name, "evaluator"), signal.SIGKILL)
    until(lambda: is_dead(child), "the child is killed")


def test_one_that_does_not_hear_is_killed_after_its_grace(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="deaf"))
    begun(place, name, "evaluator")
    deaf = pid(place, name, "evaluator")
    assert place.stop(name)
    assert is_dead(deaf)
    assert place.status(name).state == "stopped"
    assert place.status(name).roles["evaluator"][0].state == "stopped"


def test_a_killed_supervisor_leaves_no_orphan_and_status_says_so(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    running = pids(place, name)
    record = RunRecord.read(Folder(Path(place.status(name).folder)))
    assert record.supervisor
    os.kill(record.supervisor, signal.SIGKILL)
    status = ended(place, name)
    assert status.state == "failed"
    assert status.reason == f"supervisor died; surreal resume {name} continues from the last checkpoint"
    until(lambda: all(is_dead(each) for each in running), "every orphan has ended")
    assert not pids(place, name)
    place.resume(name)
    pid(place, name, "learner")
    assert not Path(record.sockets).exists()
    assert place.status(name).state == "running"


def test_a_supervisor_is_small_and_sleeps(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    record = RunRecord.read(Folder(Path(place.status(name).folder)))
    assert record.supervisor
    supervisor = psutil.Process(record.supervisor)
    assert supervisor.memory_info().rss < 40e6
    assert not supervisor.open_files() or supervisor.num_fds() < 20
    assert supervisor.terminal() is None


def test_workers_get_their_wiring_and_environment(place: LocalBackend) -> None:
    name = create(place)
    environment = psutil.Process(pid(place, name, "actor")).environ()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["WHO"] == "actor"
    folder = Folder(Path(place.status(name).folder))
    wiring = json.loads((folder.wiring / "actor-1.json").read_text())
    assert wiring["replicas"] == {"actor": 2, "learner": 1, "evaluator": 1}
    assert wiring["checkpoints"] == {"everySeconds": 60.0, "keep": 3}
    assert not wiring["serves_control"]
    assert wiring["channels"]["experience"]["addresses"][0].startswith("ipc://")
