"""The rate limiter: both sides stay within the slack, and never wait for each other."""

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
