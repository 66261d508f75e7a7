"""Copies of one environment stepped together, each reset at once when its episode ends."""

from collections.abc import Callable
from time import monotonic

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.types import Array

CLOSE_SECONDS = 5.0
"""Seconds after which no further copy is closed: a process that is asked to stop has ten."""


class VectorEnvironments:
    """`copies` environments, leaner than gymnasium's SyncVectorEnv.

    Results go straight into the caller's rows, and the info dictionaries are never merged: that merge costs more than
    a small policy.
    """

    def __init__(self, make: Callable[[], Environment], copies: int, seed: int) -> None:
        self._envs = [make() for _ in range(copies)]
        self._seed, self._resets = seed, 0
        self.name, self.spaces = self._envs[0].name, self._envs[0].spaces
        self._actions = self._envs[0].actions

    def reset(self) -> Array:
        """Start every copy anew with a seed of its own, another one each time.

        Returns features [copies, observation], float32 or, where that is too coarse for one of them, float64.
        """
        copies, seeds = len(self._envs), [self._seed + copy for copy in range(len(self._envs))]
        if self._resets:  # what failed with these seeds would fail again
            seeds = np.random.SeedSequence([self._seed, self._resets]).generate_state(copies).tolist()
        self._resets += 1
        return np.stack([env.reset(seed) for env, seed in zip(self._envs, seeds, strict=True)])

    def step(self, outputs: Array, features: Array, rewards: Array, ended: Array, cut: Array) -> list[Array]:
        """Apply a policy's `outputs` [copies, ...]; fill in the rest: `ended` is terminated, `cut` truncated.

        A finished copy is reset and its row holds the new episode's first features. Returns the final features of the
        truncated copies in order, which the value of a cut episode is bootstrapped from.
        """
        final: list[Array] = []
        actions = self._actions(outputs)
        for copy, env in enumerate(self._envs):
            rewards[copy], terminated, truncated = env.step(actions[copy], features, copy)
            if terminated or truncated:
                ended[copy], cut[copy] = bool(terminated), bool(truncated) and not terminated
                if cut[copy]:
                    final.append(features[copy].copy())
                features[copy] = env.reset()
        return final

    def close(self) -> None:
        """Close every copy, for at most some seconds."""
        deadline = monotonic() + CLOSE_SECONDS
        for env in self._envs:
            if monotonic() < deadline:
                env.close()
