"""Spaces: which are taken, and the one way from a policy's outputs to actions."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.actions import action_map
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces, check_spaces
from surreal.protocol.errors import Fatal
from tests.algorithms.environments.own.odd import Image

VECTOR = spaces.Box(-1, 1, (2,))
CHOICE = spaces.Discrete(2)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (spaces.Sequence(VECTOR), "the observation space Sequence.*, which has no fixed length. Wrap it"),
        (spaces.Graph(VECTOR, None), "the observation space Graph.*, which has no fixed length"),
        (spaces.Text(5), "the observation space Text.*, which has no fixed length"),
        (spaces.Dict({"a": spaces.Tuple((VECTOR, spaces.Sequence(VECTOR)))}), "the observation space Sequence"),
        (spaces.Box(0, 255, (96, 96, 3), np.uint8), r"observes images: Box\(0, 255, \(96, 96, 3\), uint8\)"),
        (spaces.Box(0, 255, (84, 84), np.uint8), "observes images"),
        (spaces.Dict({"eye": spaces.Box(0, 1, (8, 8, 3))}), "observes images"),
        (spaces.Dict({}), r"observes Dict\(\), in which a part has no numbers"),
        (spaces.Box(-1, 1, (0,)), r"observes Box\(.*\(0,\).*\), in which a part has no numbers"),
    ],
)
def test_observations_that_no_policy_takes_are_refused_by_name(space: Any, said: str) -> None:
    with pytest.raises(Fatal, match=f"environment 'mine': .*{said}"):
        check_spaces("'mine'", Spaces(space, CHOICE))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({}, r"declares no observation_space\. Set it to a space"),
        ({"observation_space": 3}, r"declares no observation_space, but 3\. Set it"),
        ({"observation_space": VECTOR}, r"declares no action_space\. Set it"),
        ({"observation_space": VECTOR, "action_space": [2]}, r"declares no action_space, but \[2\]\. Set it"),
    ],
)
def test_spaces_that_are_missing_or_are_none_are_refused_by_name(names: dict[str, Any], said: str) -> None:
    env = type("Bare", (gymnasium.Env,), names)()
    for wrapped in (env, gymnasium.wrappers.TimeLimit(env, 9)):
        with pytest.raises(Fatal, match=f"environment 'mine': {said}"):
            Environment(wrapped, "mine")


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(-1, 1, ()),
        spaces.Box(-1, 1, (0,)),
        spaces.Box(-1, 1, (3, 0)),
        spaces.Dict({"a": VECTOR}),
        spaces.Tuple((CHOICE,)),
        spaces.Sequence(CHOICE),
    ],
)
def test_actions_that_no_policy_takes_are_refused_by_name(space: Any) -> None:
    with pytest.raises(Fatal, match="environment 'mine': has the action space .*Wrap it to take"):
        check_spaces("'mine'", Spaces(VECTOR, space))


def test_an_environment_wrapped_to_return_features_is_taken_whatever_is_inside() -> None:
    seen = spaces.Box(-1, 1, (2,), np.float32)
    wrapped = gymnasium.wrappers.TransformObservation(Image(), lambda _: np.zeros(2, np.float32), seen)
    env = Environment(wrapped, "features")
    assert env.spaces.observation == 2
    assert env.reset(0).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("space", "outputs", "expected"),
    [
        (spaces.Discrete(3, start=5), [0, 2], [5, 7]),
        (spaces.MultiDiscrete([3, 2]), [[2, 0], [0, 1]], [[2, 0], [0, 1]]),
        (spaces.MultiDiscrete([3, 2], start=[1, -1]), [[2, 0]], [[3, -1]]),
        (spaces.MultiDiscrete([3]), [2, 0], [[2], [0]]),
        (spaces.MultiDiscrete(np.array([[3, 2], [4, 5]])), [[2, 0, 3, 4]], [[[2, 0], [3, 4]]]),
        (spaces.MultiBinary(3), [[1, 0, 1]], [[1, 0, 1]]),
        (spaces.MultiBinary((2, 2)), [[1, 0, 1, 1]], [[[1, 0], [1, 1]]]),
        (spaces.Box(0.0, 0.1, (1,), np.float32), [[-3.0], [0.05]], [[0.0], [0.05]]),
        (spaces.Box(-1, 1, (2,), np.float64), [[-3.0, 0.5]], [[-1.0, 0.5]]),
        (spaces.Box(-np.inf, np.inf, (1,), np.float32), [[1e30]], [[1e30]]),
        (spaces.Box(0, 255, (2,), np.uint8), [[-1.0, 2.7], [300.0, 1.2]], [[0, 3], [255, 1]]),
        (spaces.Box(-5, 5, (1,), np.int32), [[-2.7], [9.0]], [[-3], [5]]),
        (spaces.Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (1,), np.int64), [[7.4], [-7.6]], [[7], [-8]]),
        (spaces.Box(-1, 1, (2, 2), np.float32), [[0.5, 2.0, -2.0, 0.0]], [[[0.5, 1.0], [-1.0, 0.0]]]),
    ],
)
def test_every_action_that_a_policy_puts_out_is_one_of_the_space(space: Any, outputs: Any, expected: Any) -> None:
    dtype = np.float32 if isinstance(space, spaces.Box) else np.int64
    actions = action_map(space)(np.array(outputs, dtype=dtype))
    np.testing.assert_allclose(actions, np.array(expected), rtol=1e-6)
    assert all(space.contains(action) for action in actions)


@pytest.mark.parametrize(("dtype", "most"), [(np.int64, 2**63 - 1), (np.uint8, 255)])
def test_outputs_far_beyond_a_whole_numbers_range_stop_at_its_bounds(dtype: Any, most: int) -> None:
    space = spaces.Box(0, most, (1,), dtype)
    action = action_map(space)(np.array([[1e30]], dtype=np.float32))[0]
    assert space.contains(action)
    assert int(action[0]) > most * 0.99


def test_an_action_is_never_an_array_of_the_policy() -> None:
    for space in (spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.Discrete(2)):
        outputs = np.zeros((1, 2) if isinstance(space, spaces.Box) else 1, np.float32)
        assert not np.shares_memory(action_map(space)(outputs), outputs)
