"""Acting: environments + exploration -> fragments for replay, and the returns of the episodes that ended."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from surreal.algorithms.acting.actors import EpisodeReturns
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.offpolicy.exploration import Exploration
from surreal.algorithms.replay_learning.actor import Collected
from surreal.algorithms.types import Array
from surreal.protocol.profiling.spans import NUMERIC, SIMULATOR, Operation, operation


class Rollout:
    """Fragments of `steps` from environments that live on between fragments."""

    def __init__(self, envs: VectorEnvironments, copies: int, steps: int) -> None:
        self._envs, self._copies, self._steps = envs, copies, steps
        self._onto_bounds = envs.spaces.onto_bounds
        self._features = self._begin()
        self._returns = EpisodeReturns(copies)
        self.env_seconds = 0.0

    def collect(
        self, explore: Exploration, standardize: Standardizer, stopping: Callable[[], bool]
    ) -> Collected | None:
        """Return one fragment of the exploration's actions; None where `stopping` became true."""
        # New arrays for every fragment: the channel still owns the last one's until they are acknowledged.
        arrays = _allocate(self._envs.spaces, self._steps, self._copies, self._features.dtype)
        arrays["observations"][0] = self._features
        explore.begin(self._steps)
        # what float32 cannot hold is infinite, and refused later
        with operation("acting") as span, np.errstate(over="ignore", invalid="ignore"):
            final = self._act(arrays, explore, standardize, stopping, span)
        if final is None:
            return None
        self._features = arrays["observations"][-1]
        arrays["final"] = np.asarray(final, self._features.dtype).reshape(len(final), self._features.shape[-1])
        return Collected(arrays, *self._returns.ended(arrays["rewards"], arrays["terminated"] | arrays["truncated"]))

    def _begin(self) -> Array:
        """Return the first features [copies, observation] of new episodes."""
        return np.asarray(self._envs.reset())

    def restart(self) -> None:
        """Begin new episodes with new seeds in every environment, forgetting the ones under way."""
        self._features = self._begin()
        self._returns.clear()

    def _act(
        self,
        arrays: dict[str, Array],
        explore: Exploration,
        standardize: Standardizer,
        stopping: Callable[[], bool],
        span: Operation,
    ) -> list[Rows] | None:
        observations, taken, rewards = arrays["observations"], arrays["actions"], arrays["rewards"]
        terminated, truncated = arrays["terminated"], arrays["truncated"]
        final: list[Rows] = []
        act = span.pieces("inference", NUMERIC, explore.act)
        step = span.pieces("simulation", SIMULATOR, self._envs.step)
        for t in range(self._steps):
            actions = act(standardize(observations[t]), t)
            taken[t] = actions
            start = perf_counter()
            final += step(self._onto_bounds(actions), observations[t + 1], rewards[t], terminated[t], truncated[t])
            self.env_seconds += perf_counter() - start
            done = terminated[t] | truncated[t]
            if done.any():
                explore.ended(done)
            if stopping():
                return None
        return final


def _allocate(spaces: Spaces, steps: int, copies: int, observation: "np.dtype[np.generic]") -> dict[str, Array]:
    shape = (steps, copies)
    return {
        "observations": np.empty((steps + 1, copies, spaces.observation), dtype=observation),
        "actions": np.empty(shape, np.int64) if spaces.discrete else np.empty((*shape, spaces.action), np.float32),
        "rewards": np.empty(shape, dtype=np.float32),
        "terminated": np.zeros(shape, dtype=np.bool_),
        "truncated": np.zeros(shape, dtype=np.bool_),
    }
