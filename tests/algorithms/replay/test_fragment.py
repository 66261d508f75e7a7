"""N-step returns by their definition, and the rows of fragments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.replay.fragment import MisfitError, Schema, n_step_returns, place
from surreal.algorithms.types import Array
from tests.algorithms.replay.fragments import fragment, transitions


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 6), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 999))
def test_n_step_returns_are_those_of_the_definition(steps: int, copies: int, n: int, ends: float, seed: int) -> None:
    arrays = fragment(np.random.default_rng(seed), steps, copies, ends)
    found = n_step_returns(arrays["rewards"], arrays["terminated"], arrays["truncated"], n, 0.9)
    expected = transitions(arrays, n, 0.9)
    assert found.rewards.T.reshape(-1) == pytest.approx([each["rewards"] for each in expected], rel=1e-5, abs=1e-6)
    assert found.discounts.T.reshape(-1) == pytest.approx([each["discounts"] for each in expected], rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 999), st.integers(1, 4))
def test_rows_of_a_fragment_are_all_different_and_in_order(steps: int, copies: int, seed: int, stack: int) -> None:
    truncated = np.random.default_rng(seed).random((steps, copies)) < 0.3
    found = place(truncated, stack)
    context = [start + i for start in found.starts for i in range(stack - 1)]
    assert sorted([*found.observations.ravel(), *found.finals, *context]) == list(range(found.rows))
    assert (np.diff(found.observations, axis=0) > 0).all()


def wrong(name: str, array: Array | None) -> dict[str, Array]:
    arrays = fragment(np.random.default_rng(0), 4, 2)
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    return arrays


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("rewards", None, "'rewards' is missing"),
        ("rewards", np.zeros((4, 2)), "'rewards' is float64 of shape"),
        ("rewards", np.zeros((0, 2), np.float32), "of shape"),
        ("terminated", np.zeros((4, 2), np.int8), "'terminated' is no bool array"),
        ("truncated", np.zeros((3, 2), np.bool_), "'truncated' is no bool array"),
        ("observations", None, "no 'observations' with one row more"),
        ("observations", np.zeros((4, 2, 3), np.float32), "no 'observations' with one row more"),
        ("actions", None, "no 'actions' of every step"),
        ("actions", np.zeros((4, 3)), "'actions' has shape"),
        ("masks", np.zeros((7, 2, 3)), "'masks' has shape"),
    ],
)
def test_what_is_no_fragment_is_refused_in_words(name: str, array: Array | None, said: str) -> None:
    with pytest.raises(MisfitError, match=said):
        Schema.of(wrong(name, array))


def test_an_episode_that_is_both_terminated_and_truncated_is_refused() -> None:
    arrays = fragment(np.random.default_rng(0), 4, 2, ends=1.0)
    arrays["terminated"] = arrays["truncated"] = np.ones((4, 2), np.bool_)
    with pytest.raises(MisfitError, match="both terminated and truncated"):
        Schema.of(arrays)
