"""The rate limiter: both sides stay within the slack, and never wait for each other."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.replay.config import ReplayConfig, ReplaySettings
from surreal.algorithms.replay.rate_limiter import RateLimiter, Waits


def limiter(rate: float | None, batch: int = 1, min_size: int = 5, slack: int = 8) -> RateLimiter:
    config = ReplayConfig(min_size=min_size, slack=slack)
    return RateLimiter(ReplaySettings(config, batch=batch, updates_per_step=rate))


def test_steps_stay_within_the_slack_of_the_samples() -> None:
    made = limiter(4.0)
    while made.may_insert:
        made.inserted(1, 1)
    assert made.steps == 7  # 4 x 7 is 8 more than 4 x 5
    while made.may_sample(1):
        made.samples += 1
    assert made.samples == 16  # 4 x 7 - 16 is 8 less than 4 x 5
    assert made.may_insert


def test_no_item_is_drawn_before_min_size_steps() -> None:
    made = limiter(None)
    made.inserted(4, 1)
    assert not made.may_sample(1)
    made.inserted(1, 1)
    assert made.may_sample(10**9)
    assert made.may_insert


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.01, 30), st.integers(1, 300), st.integers(0, 40), st.lists(st.integers(1, 500), min_size=1, max_size=60)
)
def test_one_side_can_always_go_on_and_the_ratio_holds(rate: float, batch: int, slack: int, sizes: list[int]) -> None:
    made = limiter(rate, batch, min_size=100, slack=slack)
    for size in sizes:
        if made.may_insert:
            made.inserted(size, 2)
        else:
            assert made.may_sample(batch)
        while made.may_sample(batch):
            made.samples += batch
        # all was sampled that may be, so what is left lies within a batch above the lower bound
        assert made.may_insert
    made.waits["inserts"].note(False)


def even(made: RateLimiter, steps: int, batch: int = 1) -> RateLimiter:
    """A limiter that has had so many steps, and all samples that are then due."""
    made.inserted(steps, 0)
    while made.may_sample(batch):
        made.samples += batch
    return made


def again(before: RateLimiter, made: RateLimiter) -> RateLimiter:
    made.restore(before.steps, before.samples, before.ahead)
    return made


def test_a_restored_limiter_goes_on_where_it_was() -> None:
    before = even(limiter(2.0), 1000)
    made = again(before, limiter(2.0))
    assert made.ahead == before.ahead
    for steps in (1, 3, 5):
        for each in (before, made):
            each.inserted(steps, 0)
            even(each, 0)
    assert made.samples == before.samples


@pytest.mark.parametrize("changed", [{"rate": 4.0}, {"rate": 1.0}, {"rate": 4.0, "batch": 2}, {"min_size": 500}])
def test_other_settings_hold_from_the_restart_on_and_not_for_what_came_before(changed: dict[str, Any]) -> None:
    made = again(even(limiter(2.0), 1000), limiter(**{"rate": 2.0, **changed}))
    rate, batch, samples = changed.get("rate", 2.0) * changed.get("batch", 1), changed.get("batch", 1), made.samples
    for _ in range(500):
        assert made.may_insert  # actors do not stand still
        even(made, 1, batch)
    assert made.samples - samples == pytest.approx(500 * rate, abs=20)  # neither does the learner


def test_a_minimum_above_what_is_there_is_waited_for_and_then_both_sides_are_even() -> None:
    made = again(even(limiter(2.0), 1000), limiter(2.0, min_size=1500))
    samples = made.samples
    even(made, 499)
    assert made.samples == samples
    even(made, 1)
    assert made.samples - samples <= 10
    even(made, 100)
    assert made.samples - samples == pytest.approx(200, abs=20)


def test_a_minimum_below_what_is_there_does_not_hold_back_actors() -> None:
    before = limiter(2.0, min_size=1000)
    before.inserted(500, 0)
    made = again(before, limiter(2.0, min_size=100))
    assert made.may_insert and made.may_sample(1)


def test_a_limit_that_is_set_later_begins_even() -> None:
    before = limiter(None)
    before.inserted(1000, 0)
    before.samples = 10**6
    made = again(before, limiter(2.0))
    assert made.may_insert and made.may_sample(1)
    made = limiter(2.0)
    made.restore(1000, 1990, None)  # a snapshot of before
    assert made.ahead == 0.0


@pytest.mark.parametrize(("rate", "fragments"), [(1.0, 2), (4.0, 1)])
def test_the_slack_is_two_fragments_of_each_sender_or_one_where_a_step_has_several_updates(
    rate: float, fragments: int
) -> None:
    made = RateLimiter(ReplaySettings(ReplayConfig(min_size=100), batch=1, updates_per_step=rate))
    made.inserted(100, 3)
    assert made.ready
    taken = 0
    while made.may_insert:
        made.inserted(100, 3)
        taken += 1
    assert taken == 3 * fragments


def test_the_share_of_time_that_a_side_waits_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("surreal.algorithms.replay.rate_limiter.perf_counter", lambda: float(next(clock)))
    waits = Waits()  # 0
    waits.note(True)  # 1
    waits.note(True)  # 2
    waits.note(False)  # 3
    assert waits.read() == 2 / 4
    assert waits.read() == 0.0
