"""Environments: made from an id, stepped several at a time, with terminated and truncated kept apart.

Ids: any gymnasium id (`HalfCheetah-v5`), `module:Id` for one's own (the module registers it when imported),
`robosuite/Lift` with the robosuite extra.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, InvalidInput, did_you_mean
from surreal.protocol.transport.activity import moved

Env = gymnasium.Env[Any, Any]


def check_id(env_id: str) -> None:
    """Raise InvalidInput where `env_id` cannot name an environment here.

    `module:Id` is not looked into: the module may be importable only where the worker runs.
    """
    if ":" in env_id:
        return
    if env_id.startswith("robosuite/"):
        return
    if env_id not in gymnasium.registry:
        near = did_you_mean(env_id, gymnasium.registry)
        raise InvalidInput(
            f"unknown environment {env_id!r}{near}; known: any gymnasium id, 'module:Id' or 'robosuite/Task'"
        )


def make_env(env_id: str, options: dict[str, Any] | None = None) -> Env:
    """One environment with a flat float observation and a Discrete or flat Box action.

    Raises Fatal, naming what is wrong, where it cannot be made or has spaces no policy here can use.
    """
    try:
        env = _construct(env_id, options or {})
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        raise Fatal(f"environment {env_id!r} cannot be made: {error}") from error
    if not isinstance(env.observation_space, spaces.Box) or len(env.observation_space.shape) != 1:
        env = gymnasium.wrappers.FlattenObservation(env)
    action = env.action_space
    if not (isinstance(action, spaces.Discrete) or (isinstance(action, spaces.Box) and len(action.shape) == 1)):
        raise Fatal(f"environment {env_id!r} has action space {action}; supported are Discrete and a flat Box")
    return env


def _construct(env_id: str, options: dict[str, Any]) -> Env:
    if env_id.startswith("robosuite/"):
        from surreal.algorithms.robosuite import make_robosuite

        return make_robosuite(env_id.removeprefix("robosuite/"), options)
    return gymnasium.make(env_id, disable_env_checker=True, **options)


class Spaces(NamedTuple):
    """What a policy must know of an environment."""

    observation: int
    """Length of the flat observation."""
    action: int
    """Length of the action vector, or number of choices."""
    discrete: bool


def spaces_of(env: Env) -> Spaces:
    """The spaces of an environment made by `make_env`."""
    assert env.observation_space.shape is not None
    if isinstance(env.action_space, spaces.Discrete):
        return Spaces(env.observation_space.shape[0], int(env.action_space.n), True)
    assert env.action_space.shape is not None
    return Spaces(env.observation_space.shape[0], env.action_space.shape[0], False)


class Environments:
    """`copies` environments stepped together, each reset at once when its episode ends.

    Leaner than gymnasium's SyncVectorEnv: results go straight into the caller's rows and the info dictionaries,
    which nobody reads, are never merged; that merge costs more than a small policy.
    """

    def __init__(self, make: Callable[[], Env], copies: int, seed: int) -> None:
        self._envs = [make() for _ in range(copies)]
        self._seed = seed
        self.spaces = spaces_of(self._envs[0])
        space = self._envs[0].action_space
        self._start = int(space.start) if isinstance(space, spaces.Discrete) else 0
        self._bounds = (space.low, space.high) if isinstance(space, spaces.Box) else None

    def reset(self) -> Array:
        """Start every copy anew, each with its own seed. Returns observations [copies, observation] float32."""
        first = [env.reset(seed=self._seed + copy)[0] for copy, env in enumerate(self._envs)]
        return np.asarray(first, dtype=np.float32)

    def step(self, actions: Array, observations: Array, rewards: Array, ended: Array, cut: Array) -> list[Array]:
        """Apply `actions` [copies, ...]; fill in `observations`, `rewards`, `ended` (terminated) and `cut` (truncated).

        Box actions are clipped to the space's bounds here; the policy's own, unclipped ones are what it learns from.
        A finished copy is reset and its row holds the new episode's first observation. Returns the final observations
        of the truncated copies in order, which the value of a cut episode is bootstrapped from.
        """
        final: list[Array] = []
        inside = self._inside(actions)
        for copy, env in enumerate(self._envs):
            moved()
            observation, rewards[copy], terminated, truncated, _ = env.step(inside[copy])
            if terminated or truncated:
                ended[copy], cut[copy] = terminated, truncated and not terminated
                if cut[copy]:
                    final.append(np.asarray(observation, dtype=np.float32))
                observation, _ = env.reset()
            observations[copy] = observation
        return final

    def _inside(self, actions: Array) -> Array:
        if self._bounds is None:
            return actions + self._start
        low, high = self._bounds
        return np.minimum(np.maximum(actions, low), high)

    def close(self) -> None:
        """Close every copy."""
        for env in self._envs:
            env.close()
