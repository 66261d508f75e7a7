"""Limits of a run of this machine, and the word to a person that it is over."""

import json
import sys
from pathlib import Path

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.plan.model import Plan, PlannedLimits, PlannedNotify
from surreal.orchestrator.run import home
from tests.orchestrator.hooks import hook
from tests.orchestrator.runs import create, ended, events, finish, pid, plan, process, until

KEEP = "import os, sys; open(sys.argv[1], 'w').write(sys.stdin.read() + os.environ['SURREAL_TEXT'])"


def limited(learner: str = "limited", actor: str = "actor", **limits: float) -> Plan:
    return plan(learner=learner, actor=actor).model_copy(update={"limits": PlannedLimits(**limits)})


def notified(planned: Plan, **ways: object) -> Plan:
    return planned.model_copy(update={"notify": PlannedNotify(**{"no_progress_minutes": 10.0, **ways})})


def test_a_run_stops_at_its_hours_with_its_work_saved_and_goes_on_when_resumed(place: LocalBackend) -> None:
    name = create(place, limited())
    status = ended(place, name)
    assert status.state == "stopped"
    assert status.reason == (
        "spec.limits.hours: 1e-09 are used up. Go on: surreal resume toy --set spec.limits.hours=..."
    )
    assert (Path(status.folder) / "checkpoints" / "steps.json").exists()
    assert status.progress.hours and status.progress.cost is None
    before = status.progress.hours
    place.resume(name)
    pid(place, name, "learner")
    finish(place, name)
    status = ended(place, name)
    assert status.state == "succeeded" and status.progress.hours and status.progress.hours > before


def test_a_run_that_never_makes_a_step_fails_after_its_minutes(place: LocalBackend) -> None:
    name = create(place, limited("eater", no_progress_minutes=1e-3))
    status = ended(place, name)
    assert status.state == "failed"
    assert "spec.limits.noProgressMinutes: no step for 0.001 min. Look at its logs: surreal logs toy" in status.reason


def test_a_role_that_does_not_return_at_a_limit_is_ended(place: LocalBackend) -> None:
    status = ended(place, create(place, limited("deaf_to_limits")))
    assert status.state == "stopped" and status.reason.startswith("spec.limits.hours:")


def test_a_person_is_told_of_the_end_by_command_and_url(place: LocalBackend, tmp_path: Path) -> None:
    with hook() as heard:
        command = (sys.executable, "-c", KEEP, str(tmp_path / "told; touch x"))
        name = create(place, notified(plan(), command=command, url=heard.url))
        pid(place, name, "learner")
        finish(place, name)
        until(lambda: heard.heard, "the URL is told")
        told, text = heard.heard[0], (tmp_path / "told; touch x").read_text()
    assert told["event"] == "end" and told["state"] == "succeeded" and told["text"] == "toy succeeded"
    assert told["progress"]["steps"] > 0
    assert json.loads(text.removesuffix("toy succeeded")) == told


def test_a_person_is_told_of_a_failure_and_of_a_limit(place: LocalBackend) -> None:
    with hook() as heard:
        failed = create(place, notified(plan("bad", learner="hopeless"), url=heard.url))
        until(lambda: heard.events == ["failure"], "the failure is told")
        assert "no such environment: Walker9-v5" in heard.heard[0]["text"]
        assert heard.heard[0]["name"] == failed and heard.heard[0]["state"] == "failed"
        create(place, notified(limited(), url=heard.url))
        until(lambda: heard.events == ["failure", "end"], "the limit is told")
        assert heard.heard[1]["state"] == "stopped" and "spec.limits.hours" in heard.heard[1]["text"]


def test_a_person_is_told_once_of_no_progress_and_not_of_a_stop_by_hand(place: LocalBackend) -> None:
    with hook() as heard:
        name = create(place, notified(plan(learner="eater"), url=heard.url, no_progress_minutes=1e-3))
        until(lambda: heard.heard, "no progress is told")
        assert heard.events == ["noProgress"] and heard.heard[0]["state"] == "running"
        assert process(place, name, "learner").state == "running"
        # the supervisor, which would tell, is gone when this returns
        place.stop(name)
        assert heard.events == ["noProgress"]


def test_a_notification_that_fails_is_said_and_harms_nothing(place: LocalBackend) -> None:
    with hook(302) as heard:
        name = create(place, notified(plan(), command=("no-such-program",), url=heard.url))
        pid(place, name, "learner")
        finish(place, name)
        until(lambda: "spec.notify.url" in place.status(name).reason, "it is said")
    status = place.status(name)
    assert status.state == "succeeded"
    assert "spec.notify.command: 'no-such-program' could not be run: " in status.reason
    assert "spec.notify.url: '127.0.0.1' answered 302" in status.reason
    assert "secret-path" not in status.reason + events(place, name)
    assert home.find(name).checkpoints.exists()
