"""Are the aggregates those of Agarwal et al. 2021?"""

import numpy as np
import pytest

from learning.statistics import improvement, interval, iqm, iqm_of_table, normalized
from learning.table import Contestant
from surreal.protocol.errors import InvalidInput


def test_the_interquartile_mean_of_a_multiple_of_four_is_the_mean_of_the_middle_half() -> None:
    assert iqm([100, 1, 2, 3, 4, 5, 6, -100]) == pytest.approx(np.mean([2, 3, 4, 5]))


def test_the_interquartile_mean_of_other_numbers_counts_the_ends_by_their_share() -> None:
    assert iqm([0, 1, 5]) == pytest.approx((0.25 * 0 + 1 + 0.25 * 5) / 1.5)
    assert iqm([7]) == 7


def test_the_probability_of_improvement_counts_ties_half() -> None:
    assert improvement([[1, 2], [5]], [[1, 1], [9]]) == pytest.approx(((2 * 1 + 2 * 0.5) / 4 + 0) / 2)


def test_the_interval_holds_the_statistic_and_shrinks_with_more_runs() -> None:
    rng = np.random.default_rng(3)
    few, many = [list(rng.normal(size=4))], [list(rng.normal(size=400))]
    low, high = interval(iqm_of_table, few)
    assert low <= iqm_of_table(few) <= high
    narrow = interval(iqm_of_table, many)
    assert narrow[1] - narrow[0] < (high - low) / 3


def test_a_run_without_a_value_scores_as_a_random_policy() -> None:
    assert normalized(None, -10, 20) == 0
    assert normalized(20, -10, 20) == 1


def test_a_contestant_with_settings_is_read_and_one_without_is_refused() -> None:
    assert Contestant.parse("short=ppo:gamma=0.9,epochs=3").settings == (("gamma", "0.9"), ("epochs", "3"))
    with pytest.raises(ValueError, match="has no settings"):
        Contestant.parse("short=ppo")
    with pytest.raises(InvalidInput, match="no algorithm 'pop'"):
        Contestant.parse("pop")
