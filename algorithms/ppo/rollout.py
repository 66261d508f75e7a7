"""Acting: environments + policy -> fragments, with nothing per step that could be per fragment."""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from surreal.algorithms.environments import Environments
from surreal.algorithms.networks import Policy
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array


class Rollout:
    """Collects fragments of `steps` from environments that live on between fragments."""

    def __init__(self, envs: Environments, policy: Policy, copies: int, steps: int, rng: np.random.Generator) -> None:
        self._envs, self._policy, self._copies, self._steps, self._rng = envs, policy, copies, steps, rng
        self._observations = envs.reset()
        self._return, self._length = np.zeros(copies), np.zeros(copies, dtype=np.int64)
        self.env_seconds = 0.0

    def collect(self, standardize: Standardizer, stopping: Callable[[], bool]) -> dict[str, Array] | None:
        """One fragment by the policy as it is, arrays [steps, copies, ...]; None where `stopping` became true.

        observations has one row more; `final` holds the observations that truncated episodes ended in; noise and
        log-probabilities are computed for the whole fragment at once.
        """
        fragment = self._allocate()
        observations, outs = fragment["observations"], fragment.pop("outs")
        noise = self._policy.noise(self._rng, outs.shape)
        final: list[Array] = []
        for t in range(self._steps):
            out = self._policy.forward(standardize(observations[t]))
            outs[t] = out
            actions = self._policy.act(out, noise[t])
            fragment["actions"][t] = actions
            start = perf_counter()
            final += self._envs.step(
                actions,
                observations[t + 1],
                fragment["rewards"][t],
                fragment["terminated"][t],
                fragment["truncated"][t],
            )
            self.env_seconds += perf_counter() - start
            if stopping():
                return None
        self._observations = observations[-1]
        fragment["log_probs"] = self._policy.log_prob(outs, fragment["actions"])
        fragment["final"] = np.asarray(final, dtype=np.float32).reshape(len(final), observations.shape[-1])
        return fragment

    def _allocate(self) -> dict[str, Array]:
        """New arrays for every fragment: the channel still owns the last one's until they are acknowledged."""
        shape, spaces = (self._steps, self._copies), self._envs.spaces
        observations = np.empty((self._steps + 1, self._copies, spaces.observation), dtype=np.float32)
        observations[0] = self._observations
        return {
            "observations": observations,
            "outs": np.empty((*shape, spaces.action), dtype=np.float32),
            "actions": np.empty(shape if spaces.discrete else (*shape, spaces.action), dtype=self._action_type()),
            "rewards": np.empty(shape, dtype=np.float32),
            "terminated": np.zeros(shape, dtype=np.bool_),
            "truncated": np.zeros(shape, dtype=np.bool_),
        }

    def _action_type(self) -> type[np.int64] | type[np.float32]:
        return np.int64 if self._envs.spaces.discrete else np.float32

    def episodes(self, fragment: dict[str, Array]) -> list[tuple[float, int]]:
        """(return, length) of the episodes that ended within `fragment`, in order; call once per fragment."""
        rewards, done = fragment["rewards"], fragment["terminated"] | fragment["truncated"]
        ended: list[tuple[int, float, int]] = []
        for copy in range(self._copies):
            start = 0
            for t in np.flatnonzero(done[:, copy]):
                total = self._return[copy] + rewards[start : t + 1, copy].sum(dtype=np.float64)
                ended.append((int(t), float(total), int(self._length[copy] + t + 1 - start)))
                self._return[copy], self._length[copy], start = 0.0, 0, int(t) + 1
            self._return[copy] += rewards[start:, copy].sum(dtype=np.float64)
            self._length[copy] += self._steps - start
        return [(total, length) for _, total, length in sorted(ended)]

    def restart(self) -> None:
        """Begin new episodes in every environment, forgetting the ones under way."""
        self._observations = self._envs.reset()
        self._return[:], self._length[:] = 0.0, 0
