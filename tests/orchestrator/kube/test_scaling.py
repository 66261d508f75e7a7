"""Autoscaling in a cluster: what a Job is drawn with, and what a decision changes in it."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from surreal.orchestrator.autoscaling.decision import Signs
from surreal.orchestrator.backends.kube.lifecycle import scaling
from surreal.orchestrator.backends.kube.status import collect
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.plan.model import Plan
from surreal.provisioner.kube.client import Api
from tests.orchestrator.kube import recordings


class Jobs:
    """An API server that notes what is patched."""

    def __init__(self) -> None:
        self.patched: list[tuple[str, str, Any]] = []

    def patch(self, kind: str, name: str, change: Any) -> None:
        """Note it."""
        self.patched.append((kind, name, change))


def ranged(plan: Plan) -> Plan:
    """The plan with a range of actors."""
    roles = [
        role.model_copy(update={"least": 2, "replicas": 16}) if role.name == "actor" else role for role in plan.roles
    ]
    return plan.model_copy(update={"roles": tuple(roles)})


def test_a_decision_changes_the_parallelism_of_the_job_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, said, plan = Jobs(), list[str](), ranged(recordings.plan())

    class Seen:
        pass

    Seen.plan = plan  # type: ignore[attr-defined]
    monkeypatch.setattr(collect, "snapshot", lambda *_: Seen)
    monkeypatch.setattr(scaling, "status_of", lambda _: type("Status", (), {"over": False}))
    monkeypatch.setattr(scaling, "LOOK_S", 0.0)
    monkeypatch.setattr(scaling, "signs", lambda *_: Signs(4, 0.05, 0.6))
    scaling.autoscale(cast(Api, jobs), plan.name, said.append, looks=3)
    ((kind, name, change),) = jobs.patched
    assert (kind, name) == ("Job", f"{plan.name}-actor") and 4 < change["spec"]["parallelism"] <= 8
    assert said == [f"actor: {change['spec']['parallelism']}: the learner waits 60% of its time, actors 5% of theirs"]


def test_pods_that_have_not_come_are_counted_as_asked_for() -> None:
    role = ranged(recordings.plan()).role("actor")
    job = {"metadata": {"name": "x-actor"}, "spec": {"parallelism": 5}}
    seen = Snapshot("x", "default", datetime.now(UTC), jobs=(job,))
    assert scaling._asked_for(seen, role) == 5
    assert scaling._asked_for(Snapshot("x", "default", datetime.now(UTC)), role) == 2
