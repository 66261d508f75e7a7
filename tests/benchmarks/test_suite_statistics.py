"""Are the aggregates those of Agarwal et al. 2021?"""

import numpy as np
import pytest

from learning.statistics import improvement, interval, iqm, iqm_of_table, scores
from learning.table import Budget, Contestant, cells
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


def test_weights_count_as_so_many_equal_values() -> None:
    assert iqm([4, 9, 1], [1, 3, 2]) == pytest.approx(iqm([4, 9, 9, 9, 1, 1]))


def test_every_task_counts_alike_however_many_seeds_it_has() -> None:
    many = [[1.0, 1.1, 1.2, 1.3], [9.0], [2.0], [3.0]]
    assert iqm_of_table(many) == pytest.approx(iqm_of_table([many[0], *([each[0]] * 4 for each in many[1:])]))


def test_a_random_policy_scores_0_and_the_mean_of_the_reference_1() -> None:
    found = scores([[-10.0, 20.0], [5.0]], [[10.0, 30.0], [5.0]], [-10.0, 0.0])
    assert [list(task) for task in found] == [[0, 1], [1]]


def test_the_interval_is_wider_where_the_reference_has_unlike_seeds() -> None:
    def over(ours: list[list[float]], theirs: list[list[float]]) -> float:
        return iqm_of_table(scores(ours, theirs, [0.0]))

    alike, unlike = (interval(over, [[10.0, 11.0]], [theirs]) for theirs in ([10.0, 10.0], [2.0, 18.0]))
    assert unlike[1] - unlike[0] > 2 * (alike[1] - alike[0])


def test_a_contestant_with_settings_is_read_and_one_without_is_refused() -> None:
    assert Contestant.parse("short=ppo:gamma=0.9,epochs=3").settings == (("gamma", "0.9"), ("epochs", "3"))
    wide = Contestant.parse("wide=ppo:hidden=[32,32],network={std: state, share: 1},gamma=0.9")
    assert wide.settings == (("hidden", "[32,32]"), ("network", "{std: state, share: 1}"), ("gamma", "0.9"))
    for text, why in (
        ("short=ppo", "has no settings"),
        ("Short=ppo:gamma=0.9", "is no name"),
        ("=ppo:gamma=0.9", "is no name"),
        ("short=sb3-ppo:gamma=0.9", "those of its script alone"),
        ("bc", "learns from datasets"),
        ("ppo:gamma=0.9", "needs a name of its own. Write NAME=ppo:gamma=0.9"),
        ("sb3-ppo=ppo:gamma=0.9", "'sb3-ppo' is the name of something else. Take another for ppo"),
        ("td3=ppo:gamma=0.9", "'td3' is the name of something else. Take another for ppo"),
        ("a=ppo:gamma=0.9,gamma=0.8", "sets gamma twice"),
        ("a=ppo:total_steps=10", "sets total_steps, which all runs of a table have alike. Give --steps."),
        ("a=ppo:return_window=5", "sets return_window, which all .* have alike. Leave it out."),
    ):
        with pytest.raises(ValueError, match=why):
            Contestant.parse(text)
    with pytest.raises(InvalidInput, match="no algorithm 'pop'"):
        Contestant.parse("pop")


def test_a_cell_that_is_named_twice_runs_once_and_two_cells_share_no_run() -> None:
    ppo, longer = Contestant.parse("ppo"), Contestant.parse("ppo-hopper=ppo:gamma=0.9")
    assert len(cells([ppo, ppo], ["Hopper-v5"], [1, 1, 2], Budget(2000))) == 2
    with pytest.raises(ValueError, match="would share the run ppo-hopper-hopper-v5-2000-1"):
        cells([ppo, longer], ["hopper/Hopper-v5", "Hopper-v5"], [1], Budget(2000))
