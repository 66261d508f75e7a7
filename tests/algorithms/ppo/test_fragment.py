"""Fragments: how large they may be, and which ones a learner refuses."""

import re
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.rollouts.fragment import FragmentCheck, allocate, check_size
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.codec import encode_body
from tests.algorithms.environments.own.odd import Bandit, Dose, Odd

Array = np.ndarray[Any, Any]
STEPS, COPIES = 6, 2


def fragment(make: Any = Odd, steps: int = STEPS) -> tuple[Spaces, dict[str, Array]]:
    envs = VectorEnvironments(lambda: Environment(make(), "odd"), COPIES, 0)
    ours = Rollout(envs, Policy(Shape(envs.spaces, (4,))), COPIES, steps, np.random.default_rng(0))
    arrays = ours.collect(Standardizer.identity(3), lambda: False)
    assert arrays is not None
    return envs.spaces, arrays


@pytest.mark.parametrize("make", [Odd, Dose, Bandit, lambda: Odd(length=2)])
def test_what_actors_collect_is_taken(make: Any) -> None:
    spaces, arrays = fragment(make)
    assert FragmentCheck(spaces, STEPS, COPIES).problem(arrays) == ""
    arrays["observations"], arrays["final"] = (arrays[n].astype(np.float64) for n in ("observations", "final"))
    assert FragmentCheck(spaces, STEPS, COPIES).problem(arrays) == ""


def test_a_fragment_may_have_more_episodes_than_a_list_of_meta() -> None:
    _, arrays = fragment(Bandit, 2048)
    assert len(arrays["episode_returns"]) == 4096
    assert (arrays["episode_lengths"] == 1).all()
    encode_body("actor/0", 1, arrays=arrays)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rewards", None, "no array 'rewards'"),
        ("episode_returns", None, "no array 'episode_returns'"),
        ("observations", np.zeros((7, 2, 4), np.float32), r"'observations' of shape \(7, 2, 4\)"),
        ("observations", np.zeros((7, 2, 3), np.int32), "type int32, not"),
        ("actions", np.full((6, 2), 7), "actions beyond the 2 choices"),
        ("actions", np.full((6, 2), -1), "actions beyond the 2 choices"),
        ("actions", np.zeros((6, 2), np.float32), "type float32, not"),
        ("rewards", np.zeros((6, 3), np.float32), r"'rewards' of shape \(6, 3\)"),
        ("terminated", np.ones((6, 2), bool), "'episode_returns' of shape"),
        ("final", np.zeros((1, 3), np.float32), "'final' of shape"),
        ("episode_lengths", np.zeros(9, np.int64), "'episode_lengths' of shape"),
        ("log_probs", np.zeros((6, 2), np.float64), "'log_probs' of shape"),
    ],
)
def test_anything_else_is_refused_in_words(name: str, value: Any, said: str) -> None:
    spaces, arrays = fragment()
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    assert re.search(said, FragmentCheck(spaces, STEPS, COPIES).problem(arrays))


def test_an_episode_cannot_be_both_terminated_and_truncated() -> None:
    spaces, arrays = fragment(lambda: Odd(length=2))
    check = FragmentCheck(spaces, STEPS, COPIES)
    arrays["terminated"] = arrays["truncated"]
    for name in ("episode_returns", "episode_lengths"):
        arrays[name] = np.tile(arrays[name], 2)
    assert check.problem(arrays) == "episodes that are both terminated and truncated"


@pytest.mark.parametrize(("observation", "copies"), [(27_648, 8), (100_000, 4), (3_000, 64)])
def test_a_fragment_that_is_too_large_says_how_many_steps_fit(observation: int, copies: int) -> None:
    spaces = Spaces.flat(observation, 2, discrete=True)
    with pytest.raises(Fatal, match=rf"fragment_steps: 100000 .*With {copies} copies at most \d+ steps fit") as error:
        check_size(spaces, 100_000, copies)
    fits = int(str(error.value).split("at most ")[-1].split()[0])
    check_size(spaces, fits, copies)
    with pytest.raises(Fatal):
        check_size(spaces, fits + 1, copies)
    arrays = allocate(spaces, fits, copies)
    arrays["observations"] = np.zeros((fits + 1, copies, observation), np.float32)
    arrays["final"] = np.zeros((fits * copies, observation), np.float32)
    arrays["log_probs"] = arrays["rewards"]
    arrays["episode_returns"] = arrays["episode_lengths"] = np.zeros(fits * copies)
    encode_body("actor/0", 1, arrays=arrays)


def test_an_observation_that_fits_no_message_is_said_too() -> None:
    with pytest.raises(Fatal, match="Use fewer copies"):
        check_size(Spaces.flat(10_000_000, 2, discrete=True), 1, 8)
