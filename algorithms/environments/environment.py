"""The adapter: one environment as every role of every algorithm steps it."""

from collections.abc import Callable
from logging import getLogger
from typing import Any

import gymnasium
import numpy as np

from surreal.algorithms.environments import contract
from surreal.algorithms.environments.process_guard import at_most, keeping_signals
from surreal.algorithms.environments.spaces import Spaces, action_map, check_spaces, features_of
from surreal.algorithms.types import Array, narrowed
from surreal.protocol.errors import SurrealError
from surreal.protocol.transport.stats import moved

log = getLogger(__name__)
SMALL = (np.bool_, np.uint8, np.float16, np.float32)
CLOSE_SECONDS = 3.0
"""Seconds that the `close` of an environment may take."""


class EnvironmentCrashed(SurrealError):
    """An exception of an environment, named as such; its traceback is in the log.

    Anything that it raises is one, whatever it extends, but for the Ctrl-C of a person.
    """


class Environment:
    """A gymnasium environment whose word is checked: its spaces when made, what it returns at every reset and step.

    Observations become vectors of features in arrays of the caller's, so that no buffer of the environment is kept.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], name: str) -> None:
        """Take over `env`, called `name` in errors. Raises Fatal where no policy here takes its spaces."""
        self.name = name
        self.spaces = Spaces(env.observation_space, env.action_space)
        check_spaces(name, self.spaces)
        self.actions = action_map(env.action_space)
        """Policy outputs [n, ...] -> actions [n, ...] whose rows `step` takes."""
        self.module = type(env.unwrapped).__module__
        """Module of the environment's class, for the versions that a checkpoint records."""
        self.time_limit = env.spec.max_episode_steps if env.spec else None
        """Steps after which the environment itself cuts an episode; None where its registration does not say."""
        self._env, self._features, self._shape = env, features_of(env.observation_space), (self.spaces.observation,)
        self._reset: Callable[..., Any] = self._first_reset
        self._step: Callable[[Any], Any] = self._first_step

    def reset(self, seed: int | None = None) -> Array:
        """Begin an episode. Returns its first features [observation]: float64 where float32 is too coarse for them.

        Raises EnvironmentCrashed where the environment raises, Fatal where it returns other than it declares.
        """
        try:
            returned = self._reset(seed=seed)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._crashed("reset", error) from error
        contract.check_reset(self.name, self.spaces.observation_space, returned)
        features = np.array(returned[0] if self._features is None else self._features(returned[0]))
        return features.astype(np.float32) if features.dtype in SMALL else narrowed(features)

    def step(self, action: Any, rows: Array, index: int) -> tuple[float, bool, bool]:
        """Take one step with a row of `actions`, write its features to rows[index].

        Returns (reward, terminated, truncated). Raises as `reset` does.
        """
        moved()
        try:
            returned = self._step(action)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self._crashed("step", error) from error
        try:
            observation, reward, terminated, truncated, _ = returned
            if self._features is not None:
                observation = self._features(observation)
            plain = observation.shape == self._shape
        except Exception:  # whatever it is, the look below says it in words
            plain = False
        if not plain:
            observation, reward, terminated, truncated = self._odd(returned)
        rows[index] = observation
        return reward if isinstance(reward, float) else contract.real(self.name, reward), terminated, truncated

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
            _, terminated, truncated = self.step(self._env.action_space.sample(), rows, index)
            if terminated or truncated:
                rows[index] = self.reset()
        return rows

    def _first_reset(self, seed: int | None) -> Any:
        with keeping_signals():
            returned = self._env.reset(seed=seed)
        self._reset = self._env.reset
        return returned

    def _first_step(self, action: Any) -> Any:
        with keeping_signals():
            returned = self._env.step(action)
        contract.check_step(self.name, self.spaces.observation_space, returned)
        self._step = self._env.step
        return returned

    def _odd(self, returned: Any) -> tuple[Array, Any, bool, bool]:
        """Return the values of a step whose observation is no array. Raises Fatal where it breaks the contract."""
        contract.check_step(self.name, self.spaces.observation_space, returned)
        observation, reward, terminated, truncated, _ = returned
        features = np.asarray(observation) if self._features is None else self._features(observation)
        return features, reward, bool(terminated), bool(truncated)

    def _crashed(self, method: str, error: BaseException) -> SurrealError:
        if isinstance(error, SurrealError):
            return error
        log.error("environment %r failed in %s", self.name, method, exc_info=error)
        if isinstance(error, SystemExit):
            return EnvironmentCrashed(f"environment {self.name!r} ended the process in {method}: exit({error.code!r})")
        return EnvironmentCrashed(f"environment {self.name!r} raised {type(error).__name__} in {method}: {error}")
