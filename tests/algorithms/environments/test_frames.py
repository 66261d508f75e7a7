"""Frames of a stack are stored and sent once, and a learner gets the stacks back that an actor saw."""

from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.frames import observations, unpack
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.types import Array
from surreal.protocol.wire.codec import encode_body
from tests.algorithms.environments.own.parts import Film

STACK = 4


class Screen(gymnasium.Env[Any, Any]):
    """Noise of 84x84 in episodes of 40 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, (84, 84), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def _frame(self) -> Any:
        return self.np_random.integers(0, 256, (84, 84), np.uint8)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.steps = 0
        return self._frame(), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return self._frame(), 0.0, self.steps == 40, False, {}


def stacked(env: gymnasium.Env[Any, Any], stack: int = STACK) -> Environment:
    return Environment(gymnasium.wrappers.FrameStackObservation(env, stack), "film", "parts", stack=stack)


def fragments(make: Any, count: int, steps: int, copies: int) -> list[tuple[dict[str, Array], Array, list[Array]]]:
    """Fragments of `steps`: their message, the stacks that a policy saw, the stacks that cut episodes ended in."""
    made = iter(make)
    envs = VectorEnvironments(lambda: next(made), copies, 0)
    first, found = envs.reset(), []
    for _ in range(count):
        seen, whole, final = observations(envs.spaces, first, steps), [first.copy()], []
        flags: dict[str, Array] = {name: np.zeros((steps, copies), bool) for name in ("terminated", "truncated")}
        for t in range(steps):
            rewards, rows = np.zeros(copies, np.float32), seen.row(t + 1)
            outputs = np.zeros(copies, np.int64)
            final += envs.step(outputs, rows, rewards, flags["terminated"][t], flags["truncated"][t])
            seen.wrote(t + 1)
            whole.append(seen.row(t + 1).copy())
        first = seen.last()
        found.append(({**seen.arrays(final), **flags}, np.array(whole), final))
    return found


@pytest.mark.parametrize("stack", [2, 4])
def test_the_stacks_that_a_learner_makes_are_those_that_the_actor_saw(stack: int) -> None:
    films = [stacked(Film(start), stack) for start in (0, 1, 3)]
    spaces, ended = films[0].spaces, 0
    assert spaces.stack == stack and spaces.leaves[""].shape == (stack, 5, 4)
    for arrays, whole, final in fragments(films, 6, 5, 3):
        assert arrays["observations"].shape == (stack + 5, 3, 5, 4)
        rows, last = unpack(arrays, spaces)
        np.testing.assert_array_equal(rows, whole)
        np.testing.assert_array_equal(last, np.reshape(final, (-1, stack, 5, 4)))
        ended += len(final)
    assert ended > 2


def test_a_fragment_of_stacks_crosses_the_wire_in_hardly_more_than_its_single_frames() -> None:
    ((arrays, _, _),) = fragments([stacked(Screen()) for _ in range(2)], 1, 128, 2)
    body = encode_body("actor/0", 1, arrays=arrays)
    sent = len(body.body) + sum(frame.nbytes for frame in body.frames)
    singles = 128 * 2 * 84 * 84
    assert sent <= 1.1 * singles, sent / singles


def test_a_stack_of_features_is_one_longer_vector() -> None:
    env = gymnasium.wrappers.FrameStackObservation(gymnasium.make("CartPole-v1"), 3)
    seen = Environment(env, "CartPole-v1", "features", stack=3)
    assert (seen.spaces.observation, seen.spaces.stack) == (12, 1)
    assert seen.reset(0).shape == (12,)
