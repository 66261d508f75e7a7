"""The adapter: one environment as every role of every algorithm steps it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from logging import getLogger
from typing import Any

import gymnasium
import numpy as np

from surreal.algorithms.environments import contract
from surreal.algorithms.environments.actions import action_map, chosen
from surreal.algorithms.environments.masks import gives_masks, idle_mask, read_mask
from surreal.algorithms.environments.process_guard import at_most, keeping_signals
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.spaces import Leaf, Scaling, Spaces, View, check_spaces, declared, reader
from surreal.algorithms.types import Array, Bool, narrowed
from surreal.protocol.errors import SurrealError
from surreal.protocol.transport.stats import moved

log = getLogger(__name__)
SMALL = (np.bool_, np.uint8, np.float16, np.float32)
"""Types that float32 holds without loss."""
CLOSE_SECONDS = 3.0
"""Seconds that the `close` of an environment may take."""


class EnvironmentCrashedError(SurrealError):
    """An exception of an environment, named as such; its traceback is in the log.

    Anything that it raises is one, whatever it extends, but for the Ctrl-C of a person.
    """


class Environment:
    """A gymnasium environment whose word is checked: its spaces when made, what it returns at every reset and step.

    Observations are written to arrays of the caller's, so that no buffer of the environment is kept.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        name: str,
        view: View = "features",
        scaling: Scaling = "auto",
        stack: int = 1,
        wrappers: Sequence[str] = (),
        reward_in_training: Callable[[float], float] = float,
    ) -> None:
        """Take over `env`, called `name` in errors. Raises Fatal where no policy here takes its spaces.

        `stack` is the number of frames of which each observation is a stack, newest last. `wrappers` are the names of
        those that are one's own: what is wrong may be wrong there, and errors name them.
        """
        self.name = name
        self._called = f"{name!r} wrapped in {', '.join(wrappers)}" if wrappers else repr(name)
        seen = Spaces(*declared(self._called, env), scaling=scaling).seen_as(view)
        self.spaces = replace(seen, stack=stack) if seen.view == "parts" else seen
        check_spaces(self._called, self.spaces)
        self.actions = action_map(env.action_space)
        """Policy outputs [n, ...] -> actions [n, ...] whose rows `step` takes."""
        self.module = type(env.unwrapped).__module__
        """Module of the environment's class, for the versions that a checkpoint records."""
        self.time_limit = env.spec.max_episode_steps if env.spec else None
        """Steps after which the environment itself cuts an episode; None where its registration does not say."""
        self.mask: Bool | None = None
        """Choices [all] that the present state allows; None where the environment gives no masks."""
        self.masked: bool | None = None
        """True where the environment gives masks; None before its first reset."""
        self.idle_mask = ""
        """Sentence on a mask that is of no choices; empty where there is none."""
        leaves = self.spaces.leaves
        self.gymnasium = env
        """The environment itself, for what steps several at once."""
        self._env, self._read = env, reader(self.spaces)
        self.plain = self._read is None
        """True where observations are taken as they are."""
        self.reward_in_training = reward_in_training
        """Map from its rewards to those that a policy was trained with, which R2D2's takes in."""
        self._shape = leaves[""].shape if "" in leaves else None
        self._shapes = {name: leaf.shape for name, leaf in leaves.items()}
        self._reset: Callable[..., Any] = self._first_reset
        self._step: Callable[[Any], Any] = self._first_step

    def reset(self, seed: int | None = None) -> Rows:
        """Begin an episode. Returns its first observation: float64 where float32 is too coarse for one of its numbers.

        Raises EnvironmentCrashedError where the environment raises, Fatal where it returns other than it declares.
        """
        moved()  # each copy has the whole time after which a process counts as hung
        try:
            returned = self._reset(seed=seed)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._crashed("reset", seed, error) from error
        contract.check_reset(self._called, self.spaces.observation_space, returned)
        if self.masked is None:
            self.masked = gives_masks(returned[1], self.spaces.choices)
            self.idle_mask = idle_mask(self._called, returned[1], self.spaces.choices)
        if self.masked:
            self.mask = read_mask(self._called, "reset", returned[1], self.spaces.choices)
        return self._row(returned[0])

    def step(self, action: Any, rows: Rows, index: int) -> tuple[float, bool, bool]:
        """Take one step with a row of `actions`, write its observation to rows[index].

        Returns (reward, terminated, truncated). Raises as `reset` does.
        """
        moved()
        try:
            returned = self._step(action)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._crashed("step", action, error) from error
        try:
            observation, reward, terminated, truncated, info = returned
            if self._read is not None:
                observation = self._read(observation)
            plain = observation.shape == self._shape if self._shape is not None else self._fits(observation)
        except Exception:  # whatever it is, the look below says it in words
            plain = False
        if not plain:
            observation, reward, terminated, truncated, info = self._odd(returned)
        if isinstance(rows, dict):
            for name, array in rows.items():
                array[index] = observation[name]
        else:
            rows[index] = observation
        if terminated.__class__ is not bool or truncated.__class__ is not bool:
            terminated = contract.flag(self._called, "terminated", terminated)
            truncated = contract.flag(self._called, "truncated", truncated)
        if self.masked and not (terminated or truncated):  # at the end nothing is chosen, and often nothing is allowed
            self.mask = read_mask(self._called, "step", info, self.spaces.choices)
        return reward if isinstance(reward, float) else contract.real(self._called, reward), terminated, truncated

    def close(self) -> None:
        """Close the environment, which may take 3 s; what goes wrong is logged."""
        try:
            at_most(CLOSE_SECONDS, self._env.close)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            log.warning("environment %r: close() failed: %s: %s", self.name, type(error).__name__, error)

    def random_features(self, seed: int, steps: int) -> Array:
        """Return the features [steps + 1, observation], float64, that `steps` random actions lead through."""
        self._env.action_space.seed(seed)
        rows = np.empty((steps + 1, self.spaces.observation))
        rows[0] = self.reset(seed)
        for index in range(1, steps + 1):
            _, terminated, truncated = self.step(self._sampled(), rows, index)
            if terminated or truncated:
                rows[index] = self.reset()
        return rows

    def _sampled(self) -> Any:
        """Return a random action that the mask allows."""
        space: Any = self._env.action_space
        if self.mask is None:
            return space.sample()
        drawn = self._env.np_random.random(len(self.mask)) * self.mask
        return self.actions(chosen(drawn[None], self.spaces.choices))[0]

    def _row(self, observation: Any) -> Rows:
        """Return a new row of an observation: whole numbers and flags as they are, others as float32 or float64."""
        read = observation if self._read is None else self._read(observation)
        if self.spaces.view == "features":
            return _real(np.array(read))
        leaves = self.spaces.leaves
        return (
            {n: _typed(read[n], leaf) for n, leaf in leaves.items()} if "" not in leaves else _typed(read, leaves[""])
        )

    def _fits(self, observation: Rows) -> bool:
        assert isinstance(observation, dict)
        return all(observation[name].shape == shape for name, shape in self._shapes.items())

    def _first_reset(self, seed: int | None) -> Any:
        with keeping_signals():
            returned = self._env.reset(seed=seed)
        self._reset = self._env.reset
        return returned

    def _first_step(self, action: Any) -> Any:
        with keeping_signals():
            returned = self._env.step(action)
        contract.check_step(self._called, self.spaces.observation_space, returned)
        self._step = self._env.step
        return returned

    def _odd(self, returned: Any) -> tuple[Any, Any, bool, bool, Any]:
        """Return the values of a step whose observation is no array. Raises Fatal where it breaks the contract."""
        contract.check_step(self._called, self.spaces.observation_space, returned)
        observation, reward, terminated, truncated, info = returned
        read = np.asarray(observation) if self._read is None else self._read(observation)
        return read, reward, bool(terminated), bool(truncated), info

    def _crashed(self, method: str, given: Any, error: BaseException) -> SurrealError:
        """Return why `method`, which got `given`, raised. Raises Fatal where it cannot ever do otherwise."""
        if isinstance(error, SurrealError):
            return error
        contract.check_below(self._called, self._env, method, given, error)
        log.error("environment %r failed in %s", self.name, method, exc_info=error)
        if isinstance(error, SystemExit):
            return EnvironmentCrashedError(
                f"environment {self._called} ended the process in {method}: exit({error.code!r})"
            )
        return EnvironmentCrashedError(f"environment {self._called} raised {type(error).__name__} in {method}: {error}")


def _typed(value: Any, leaf: Leaf) -> Array:
    """Return a new array of the type of `leaf`, a wider one where float32 is too coarse."""
    return _real(np.array(value)) if leaf.dtype.kind == "f" else np.array(value, dtype=leaf.dtype)


def _real(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype in SMALL else narrowed(values)
