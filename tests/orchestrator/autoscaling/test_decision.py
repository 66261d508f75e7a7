"""Autoscaling: what is decided from which signs, and that it comes to rest."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.orchestrator.autoscaling.decision import LOOKS, REST_S, Autoscaler, Decision, Range, Signs
from surreal.orchestrator.autoscaling.signs import newest_row, scaled_role, signs_of
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.channel_stats import channels_of
from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.model import NodePool

ROOT = Path(__file__).parents[3]
BOUNDS = Range(2, 64)


def looks(scaler: Autoscaler, signs: Signs, number: int = LOOKS, begin: float = 1000.0) -> list[Decision | None]:
    """The decisions of some looks, ten seconds apart."""
    return [scaler.look(signs, begin + 10 * count) for count in range(number)]


def test_a_starving_learner_gets_more_actors_once_looks_agree() -> None:
    *before, last = looks(Autoscaler(BOUNDS), Signs(8, 0.05, 0.5))
    assert before == [None, None] and last is not None and 8 < last.actors <= 16
    assert last.reason == "the learner waits 50% of its time, actors 5% of theirs"


def test_blocked_actors_of_a_fed_learner_go() -> None:
    last = looks(Autoscaler(BOUNDS), Signs(32, 0.7, 0.02))[-1]
    assert last is not None and 16 <= last.actors < 32 and "actors wait 70%" in last.reason


def test_stale_experience_removes_one_actor() -> None:
    last = looks(Autoscaler(BOUNDS), Signs(8, 0.0, 0.0, staleness=6.0, stalest=4))[-1]
    assert last == Decision(7, "experience is 6.0 updates old, more than 4")


def test_no_more_are_added_while_some_have_not_come() -> None:
    assert looks(Autoscaler(BOUNDS), Signs(8, 0.0, 0.9, heard=7), 20) == [None] * 20
    assert looks(Autoscaler(BOUNDS), Signs(8, 0.0, 0.9, heard=8))[-1] is not None
    # None has come of those that are the least: that is no reason to say that these are too few.
    assert looks(Autoscaler(BOUNDS), Signs(2, None, None, heard=0), 20) == [None] * 20


def test_in_turns_both_wait_and_nothing_changes() -> None:
    assert looks(Autoscaler(BOUNDS), Signs(8, 0.45, 0.5), 20) == [None] * 20


def test_what_is_unknown_changes_nothing() -> None:
    for signs in (Signs(8, None, 0.9), Signs(8, 0.9, None)):
        assert looks(Autoscaler(BOUNDS), signs, 10) == [None] * 10


def test_one_look_of_another_mind_begins_the_count_anew() -> None:
    scaler, hungry, calm = Autoscaler(BOUNDS), Signs(8, 0.0, 0.9), Signs(8, 0.0, 0.2)
    assert [scaler.look(signs, 10.0 * n) for n, signs in enumerate((hungry, hungry, calm, hungry, hungry))] == [
        None
    ] * 5


def test_a_run_rests_after_a_change() -> None:
    scaler = Autoscaler(BOUNDS)
    assert looks(scaler, Signs(8, 0.0, 0.9))[-1] is not None
    assert looks(scaler, Signs(16, 0.0, 0.9), begin=1000.0 + 30) == [None] * LOOKS
    assert looks(scaler, Signs(16, 0.0, 0.9), begin=1000.0 + 20 + REST_S)[0] is not None


def test_what_was_removed_is_not_added_at_once() -> None:
    scaler = Autoscaler(BOUNDS)
    assert looks(scaler, Signs(8, 0.6, 0.0))[-1] is not None
    assert looks(scaler, Signs(6, 0.0, 0.45), begin=1100.0) == [None] * LOOKS
    assert looks(scaler, Signs(6, 0.0, 0.65), begin=1200.0)[-1] is not None
    assert looks(scaler, Signs(6, 0.0, 0.45), begin=1400.0)[-1] is not None


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0, 1), st.floats(0, 9))
def test_decisions_stay_within_the_bounds(actors: int, blocked: float, starved: float, staleness: float) -> None:
    last = looks(Autoscaler(BOUNDS), Signs(actors, blocked, starved, staleness, 4.0))[-1]
    assert last is None or (BOUNDS.least <= last.actors <= BOUNDS.most and last.actors != actors)
    assert last is None or last.actors <= max(2 * actors, BOUNDS.least)


@settings(max_examples=60)
@given(st.floats(0.5, 60), st.integers(2, 64))
def test_a_run_with_a_knee_comes_to_rest_near_it(knee: float, begin: int) -> None:
    """Actors beyond the knee wait, and below it the learner does: the model of a run that goes on beside."""
    scaler, actors, changes = Autoscaler(BOUNDS), begin, list[int]()
    for look in range(400):
        signs = Signs(actors, max(0.0, 1 - knee / actors), max(0.0, 1 - actors / knee))
        if decision := scaler.look(signs, 10.0 * look):
            actors = decision.actors
            changes.append(look)
    assert not changes or changes[-1] < 200
    blocked, starved = max(0.0, 1 - knee / actors), max(0.0, 1 - actors / knee)
    assert starved < 0.61 or actors == BOUNDS.most
    assert blocked < 0.41 or actors == BOUNDS.least


@pytest.fixture
def plan() -> Plan:
    """A plan of a PPO run with a range of actors."""
    overrides = ("spec.roles.actor.replicas={min: 2, max: 16}",)
    return make_plan(
        load_experiment(ROOT / "examples/cheetah-ppo.yaml", overrides), (NodePool("local", 1, 64.0, 2**38),)
    )


def test_a_range_is_planned_for_at_its_largest(plan: Plan) -> None:
    role = scaled_role(plan)
    assert role is not None and (role.name, role.least, role.replicas) == ("actor", 2, 16)
    assert "actor/15" in plan.processes()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("spec.roles.actor.replicas={min: 5, max: 2}", "min: 5 is more than max: 2"),
        ("spec.roles.learner.replicas={min: 1, max: 2}", "a range is for roles whose processes may come and go"),
        ("spec.roles.actor.replicas={min: 2}", "max"),
    ],
)
def test_a_range_that_means_nothing_is_refused_at_its_line(override: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        load_experiment(ROOT / "examples/cheetah-ppo.yaml", (override,))


def end(process: str, channel: str, verb: str, share: float) -> dict[str, Any]:
    """One row of channels.json."""
    counts = dict.fromkeys(("messages", "bytes", "resent", "duplicates", "refused", "dropped", "depth"), 0)
    rates = {"messages_per_second": 1.0, "bytes_per_second": 1.0, "blocked_share": share, "blocked_seconds": 1.0}
    return {"channel": channel, "kind": "stream", "process": process, "incarnation": 1, "end": verb, **counts, **rates}


def test_signs_come_from_channels_and_the_newest_row_of_the_learner(plan: Plan, tmp_path: Path) -> None:
    role = scaled_role(plan)
    assert role is not None
    rows = [
        end("actor/0", "experience", "send", 0.1),
        end("actor/0", "weights", "receive", 0.3),
        end("actor/1", "weights", "receive", 0.6),
        end("learner/0", "experience", "receive", 0.9),
    ]
    channels = channels_of(json.dumps({"time": 50.0, "channels": rows}).encode(), over=False, now=51.0)
    folder = Folder(tmp_path)
    folder.metrics.mkdir()
    lines = [
        '{"role": "learner/0", "share_waiting": 0.7, "staleness": 1.0}',
        '{"role": "actor", "x": 1}',
        '{"role": "lea',
    ]
    folder.metrics_jsonl.write_text("\n".join(lines))
    found = signs_of(plan, role, channels, newest_row(folder.metrics_jsonl.read_bytes().splitlines(), "learner"), 5)
    assert (found.actors, found.heard, found.starved, found.staleness) == (5, 2, 0.7, 1.0)
    assert found.blocked == pytest.approx((0.4 + 0.6) / 2)
