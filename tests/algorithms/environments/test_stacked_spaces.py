"""A stack holds one frame after another of every kind of part, and choices in it are one-hot as they are without."""

from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.frames import observations, unpack
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.rows import at, count, mapped
from surreal.algorithms.environments.spaces import View
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.protocol.errors import Fatal

STACK = 4
VECTOR = spaces.Box(-1, 1, (3,), np.float32)
KINDS: dict[str, spaces.Space[Any]] = {
    "box": VECTOR,
    "number": spaces.Box(-1, 1, (), np.float32),
    "image": spaces.Box(0, 255, (6, 5), np.uint8),
    "whole": spaces.Box(0, 9, (2,), np.int32),
    "discrete": spaces.Discrete(4, start=2),
    "multi-discrete": spaces.MultiDiscrete([3, 2], start=[5, 0]),
    "rows of multi-discrete": spaces.MultiDiscrete(np.array([[3, 2], [2, 2]])),
    "multi-binary": spaces.MultiBinary(3),
    "rows of multi-binary": spaces.MultiBinary([2, 3]),
    "dict": spaces.Dict({"v": VECTOR, "k": spaces.Discrete(4), "b": spaces.MultiBinary(2)}),
    "tuple": spaces.Tuple((VECTOR, spaces.Discrete(3))),
    "nested": spaces.Dict({"in": spaces.Tuple((spaces.Discrete(3), spaces.Dict({"m": spaces.MultiDiscrete([2, 3])})))}),
}


class Anything(gymnasium.Env[Any, Any]):
    """Random observations of a kind in episodes of seven steps, the last of which is cut or ends."""

    action_space = spaces.Discrete(2)

    def __init__(self, kind: str) -> None:
        self.observation_space = deepcopy(KINDS[kind])

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        ended = self.steps == 7
        return self.observation_space.sample(), 0.0, ended and action == 0, ended and action == 1, {}


class Wrong(Anything):
    """Returns a number that its Discrete does not have."""

    def step(self, action: Any) -> Any:
        return -1, 0.0, False, False, {}


def made(kind: str, view: View, wrappers: list[Any], name: str = "Anything") -> VectorEnvironments:
    settings = {"id": f"{__name__}:{name}", "options": {"kind": kind}, "wrappers": wrappers}
    return VectorEnvironments(lambda: make_env(settings, view=view), 2, 1)


def fragment(envs: VectorEnvironments, steps: int = 16) -> tuple[list[Any], Any, Any]:
    """Rows that an actor saw, and (rows, final observations) that a learner gets of them."""
    first, flags = envs.reset(), {name: np.zeros((steps, 2), bool) for name in ("terminated", "truncated")}
    seen, saw, final = observations(envs.spaces, first, steps), [mapped(np.array, first)], []
    for t in range(steps):
        ended, cut = flags["terminated"][t], flags["truncated"][t]
        final += envs.step(np.array([0, 1]), seen.row(t + 1), np.zeros(2, np.float32), ended, cut)
        seen.wrote(t + 1)
        saw.append(mapped(np.array, seen.row(t + 1)))
    return saw, *unpack({**seen.arrays(final), **flags}, envs.spaces)


@pytest.mark.parametrize("view", ["features", "parts"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "image"])
def test_the_newest_frame_of_a_stack_is_the_observation_without_one(kind: str, view: View) -> None:
    alone, _, _ = fragment(made(kind, view, []))
    saw, rows, final = fragment(made(kind, view, [{"stack": STACK}]))
    for t in range(len(saw)):
        np.testing.assert_equal(at(rows, t), saw[t])
    if view == "parts":
        newest = [mapped(lambda array: array[:, -1], row) for row in saw]
        np.testing.assert_equal(newest, alone)
        assert not any(leaf.image for leaf in made(kind, view, [{"stack": STACK}]).spaces.leaves.values())
    assert count(final) == 2


@pytest.mark.parametrize("kind", ["discrete", "multi-discrete", "multi-binary"])
def test_features_of_a_stack_are_the_one_hots_of_its_frames(kind: str) -> None:
    alone, _, _ = fragment(made(kind, "features", []))
    saw, _, _ = fragment(made(kind, "features", [{"stack": STACK}]))
    np.testing.assert_array_equal(saw[6], np.concatenate(alone[3:7], axis=-1))


def test_a_choice_that_a_space_does_not_have_is_named_with_it() -> None:
    envs = made("discrete", "parts", [{"stack": STACK}], "Wrong")
    rows = envs.reset()
    with pytest.raises(Fatal, match=r"env.wrappers: stack gets an observation of -1. Return one of Discrete\(4, start"):
        envs.step(np.zeros(2, np.int64), rows, np.zeros(2, np.float32), np.zeros(2, bool), np.zeros(2, bool))
