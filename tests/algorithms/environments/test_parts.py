"""Observations of several parts keep their shapes and types from the environment to the learner."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.frames import unpack
from surreal.algorithms.environments.rows import joined
from surreal.algorithms.environments.spaces import Leaf, Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.normalizers import RunningMoments, Standardizer, numbers_of, over_leaves, standardized_size
from surreal.algorithms.rollouts.fragment import FragmentCheck, check_size
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.rollouts.trajectories import Fragment, trajectories
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.codec import decode, encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind
from tests.algorithms.environments.own.parts import Robot

NAMES = ["camera", "pair.0", "pair.1", "robot.gripper", "robot.joints"]
"""In the order of gymnasium, which sorts the keys of a plain dict."""

FLAGS: spaces.Box = spaces.Box(0, 1, (10, 10, 4), bool)  # type: ignore[arg-type]


class Still:
    """A policy whose outputs are zero."""

    outputs, state_size = 5, 0

    def bounded(self, onto_bounds: Any) -> Any:
        return onto_bounds

    def initial_state(self, n: int) -> Array:
        return np.zeros((n, 0), np.float32)

    def advance(self, rows: dict[str, Array], state: Array) -> tuple[Array, Array]:
        return np.zeros((len(rows["camera"]), 5), np.float32), state

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.zeros(shape, np.float32)

    def act(self, out: Array, noise: Array) -> Array:
        return np.zeros((len(out), 2), np.int64)

    def log_prob(self, outs: Array, actions: Array) -> Array:
        return np.zeros(actions.shape[:-1], np.float32)


def collected(steps: int = 8, copies: int = 2) -> tuple[Spaces, dict[str, Array]]:
    envs = VectorEnvironments(lambda: Environment(Robot(), "robot", "parts"), copies, 0)
    rollout = Rollout(envs, Still(), copies, steps, np.random.default_rng(0))  # type: ignore[arg-type]
    arrays = rollout.collect(lambda rows: rows, lambda: False)
    assert arrays is not None
    return envs.spaces, arrays


def test_each_part_is_a_leaf_with_its_own_shape_and_type() -> None:
    leaves = Environment(Robot(), "robot", "parts").spaces.leaves
    assert list(leaves) == NAMES
    assert leaves["camera"] == Leaf((4, 6, 3), np.dtype(np.uint8), 0.0, 255.0)
    assert leaves["camera"].image and not leaves["robot.joints"].image
    assert leaves["robot.joints"].dtype == np.float32  # float64 is of no use to a policy
    assert (leaves["robot.gripper"].shape, leaves["pair.1"].shape) == ((2,), (3,))


def test_parts_reach_the_learner_as_they_were() -> None:
    spaces, arrays = collected()
    assert FragmentCheck(spaces, 8, 2).problem(arrays) == ""
    body = encode_body("actor/0", 1, arrays=arrays)
    frames = [encode_prefix(Kind.DATA, 0, 0, 1, 0) + body.body, *(frame.tobytes() for frame in body.frames)]
    rows, final = unpack(decode(frames).arrays, spaces)
    steps = [0, 1, 2, 3, 4, 0, 1, 2, 3]
    assert rows["camera"].dtype == np.uint8
    assert rows["camera"].shape == (9, 2, 4, 6, 3)
    assert rows["camera"][:, 0, 0, 0, 0].tolist() == steps
    np.testing.assert_array_equal(rows["robot.joints"][:, 1, 0], np.array(steps, np.float32) / 2)
    assert rows["robot.gripper"][:, 0].tolist() == [[1 - step % 2, step % 2] for step in steps]
    assert (rows["pair.1"] == [1, 0, 1]).all()
    assert final["camera"].shape == (2, 4, 6, 3) and (final["camera"] == 5).all()


def test_one_leaf_alone_needs_no_name() -> None:
    seen = Spaces(spaces.Dict({"eye": FLAGS}), spaces.Discrete(2), "parts")
    assert list(seen.leaves) == [""]
    assert seen.leaves[""].dtype == np.bool_


@pytest.mark.parametrize(
    ("space", "view"),
    [
        (spaces.Box(-1, 1, (3,)), "features"),
        (spaces.Dict({"a": spaces.Box(-1, 1, (3,)), "b": spaces.Discrete(2)}), "features"),
        (spaces.Dict({"a": spaces.Box(-1, 1, (3,)), "b": spaces.Box(0, 255, (8, 8), np.uint8)}), "parts"),
        (FLAGS, "parts"),
    ],
)
def test_auto_keeps_parts_where_there_is_an_image(space: spaces.Space[object], view: str) -> None:
    assert Spaces(space, spaces.Discrete(2)).seen_as("auto").view == view


def test_numbers_are_standardized_and_images_and_choices_are_not() -> None:
    found, arrays = collected()
    rows, _ = unpack(arrays, found)
    moments = RunningMoments(standardized_size(found))
    moments.update(numbers_of(rows, found))
    assert len(moments.mean) == 3
    standardized = over_leaves(Standardizer.of(moments), found)(rows)
    assert standardized["camera"] is rows["camera"] and standardized["pair.1"] is rows["pair.1"]
    for name in ("robot.joints", "pair.0"):
        assert standardized[name].mean() == pytest.approx(0, abs=1e-6)
        assert standardized[name].std() == pytest.approx(1, abs=1e-3)


def test_fragments_of_parts_join_and_keep_final_observations_in_place() -> None:
    found, arrays = collected()
    fragments = [Fragment.of(arrays, found), Fragment.of(arrays, found)]
    fragments[1].final["camera"][:] = 99
    data = trajectories(fragments, lambda rows: rows, None)
    assert data.observations["camera"].shape == (9, 4, 4, 6, 3)
    assert data.final["camera"][:, 0, 0, 0].tolist() == [99, 99, 99, 99]  # one array, twice
    assert joined([each.final for each in fragments])["pair.0"].shape == (4, 1)


def test_an_observation_with_a_part_of_another_shape_ends_the_run_with_its_name() -> None:
    class Grown(Robot):
        def step(self, action: Any) -> Any:
            observation, *rest = super().step(action)
            observation["robot"]["joints"] = np.zeros(self.steps, np.float64)
            return observation, *rest

    env = Environment(Grown(), "mine", "parts")
    rows = {name: np.zeros((1, *leaf.shape), leaf.dtype) for name, leaf in env.spaces.leaves.items()}
    env.reset(0)
    with pytest.raises(Fatal, match=r"environment 'mine': step\(\) returned an observation .*'joints'.*shape \(1,\)"):
        env.step(np.array([1, 0]), rows, 0)


def test_a_name_with_a_dot_is_refused() -> None:
    with pytest.raises(Fatal, match=r"names a part of its observations 'a\.b'. Use a name without '\.'"):
        Robot.observation_space, before = spaces.Dict({"a.b": spaces.Discrete(2)}), Robot.observation_space
        try:
            Environment(Robot(), "mine", "parts")
        finally:
            Robot.observation_space = before


def test_images_say_how_many_steps_fit_a_message() -> None:
    seen = Spaces(spaces.Box(0, 255, (210, 160, 3), np.uint8), spaces.Discrete(2), "parts")
    check_size(seen, 128, 4)
    with pytest.raises(Fatal, match="fragment_steps: 2000 .*With 64 copies at most"):
        check_size(seen, 2000, 64)
