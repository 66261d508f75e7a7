"""Limits and notifications of the experiment file: what is refused, and what a process is told of them."""

from dataclasses import replace

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.wiring import wire
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import minimal
from tests.orchestrator.plan.test_plan import LAPTOP, STEADY


class Nowhere:
    """Addresses that no test dials."""

    def control(self) -> str:
        return "ipc:///control"

    def channel(self, channel: object, index: int) -> str:
        return f"ipc:///channel-{index}"

    relay = channel


def experiment(**spec: object) -> Experiment:
    data = minimal()
    data["spec"].update(spec)
    return Experiment.from_data(data)


def limits_of(plan: Plan, role: str = "learner") -> dict[str, object]:
    return wire(plan, plan.role(role), (), Nowhere(), "/run").limits


def test_the_process_that_ends_the_run_is_told_the_limits_and_the_price_of_the_plan() -> None:
    spec = experiment(limits={"hours": 2, "cost": 5, "noProgressMinutes": 30})
    plan = make_plan(spec, [STEADY])
    assert plan.cost and plan.cost.per_hour
    wired = {"hours": 2.0, "dollars": 5.0, "stillMinutes": 30.0, "dollarsPerHour": plan.cost.per_hour}
    assert limits_of(plan) == wired and limits_of(plan, "actor") == {}
    assert limits_of(make_plan(experiment(), [STEADY])) == {"dollarsPerHour": plan.cost.per_hour}


def test_an_upper_bound_of_the_price_limits_the_cost_and_is_marked_as_one() -> None:
    bounded = replace(STEADY, price=None, price_bound=0.5)
    wired = limits_of(make_plan(experiment(limits={"cost": 5}), [bounded]))
    assert wired["bound"] is True and wired["dollars"] == 5.0


def test_a_limit_of_cost_without_any_price_is_refused_at_its_line_and_a_warning_on_this_machine() -> None:
    with pytest.raises(InvalidInput, match="spec.limits.cost: cannot be counted: pool steady has no known price"):
        make_plan(experiment(limits={"cost": 5}), [replace(STEADY, price=None)])
    here = make_plan(experiment(limits={"cost": 5}), [LAPTOP])
    assert "spec.limits.cost ends no run here: this machine has no price" in here.warnings
    assert limits_of(here) == {"dollars": 5.0}


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("limits", {"hours": 0}, "spec.limits.hours: must be more than 0, not 0"),
        ("limits", {"minutes": 5}, "spec.limits.minutes"),
        ("limits", {"cost": "5 $"}, "spec.limits.cost"),
        ("track", {"aim": {}}, "is not supported: aim 3.29 lists no run before `aim storage reindex`"),
        ("track", {"tensorboard": {"folder": "here"}}, "spec.track.tensorboard.folder"),
        ("notify", {"url": "ftp://host/x"}, "spec.notify.url"),
        ("notify", {"url": "hook"}, "spec.notify.url"),
        ("notify", {"command": "mail me"}, "spec.notify.command"),
        ("notify", {"command": ["x\0y"]}, "spec.notify.command"),
    ],
)
def test_wrong_limits_and_ways_to_tell_are_refused(key: str, value: object, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        experiment(**{key: value})
    assert problem in str(caught.value), str(caught.value)


def test_ways_to_tell_reach_the_process_that_ends_the_run_alone() -> None:
    plan = make_plan(experiment(notify={"command": ["mail", "me"], "url": "https://host/x"}), [LAPTOP])
    told = {"command": ["mail", "me"], "url": "https://host/x", "stillMinutes": 10.0}
    wired = [wire(plan, plan.role(role), (), Nowhere(), "/run").notify for role in ("learner", "actor")]
    assert wired == [told, {}]
    assert make_plan(experiment(), [LAPTOP]).notify is None
