"""Copies of one environment stepped together, each reset at once when its episode ends."""

from collections.abc import Callable
from time import monotonic

import numpy as np

from surreal.algorithms.environments.batched.batch import Batch, Stepping, batch_of
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.rows import Rows, at, mapped, put, stacked
from surreal.algorithms.types import Array, Bool

CLOSE_SECONDS = 5.0
"""Seconds after which no further copy is closed: a process that is asked to stop has ten."""


class VectorEnvironments:
    """`copies` environments, leaner than gymnasium's SyncVectorEnv.

    Results go straight into the caller's rows, and the info dictionaries are never merged: that merge costs more than
    a small policy. Copies of what can be stepped together exactly are.
    """

    def __init__(self, make: Callable[[], Environment], copies: int, seed: int, stepping: Stepping = "auto") -> None:
        self._envs = [make() for _ in range(copies)]
        self._batch, self._all = batch_of(self._envs, stepping), np.arange(copies)
        self._seed, self._resets = seed, 0
        self.name, self.spaces = self._envs[0].name, self._envs[0].spaces
        self._actions = self._envs[0].actions
        self.masks: Bool | None = None
        """Choices [copies, all] that are allowed now, written over by each step; None where there are no masks."""

    def reset(self) -> Rows:
        """Start every copy anew with a seed of its own, another one each time.

        Returns observations [copies, ...], their numbers float32 or, where that is too coarse for one, float64.
        """
        copies, seeds = len(self._envs), [self._seed + copy for copy in range(len(self._envs))]
        if self._resets:  # what failed with these seeds would fail again
            seeds = np.random.SeedSequence([self._seed, self._resets]).generate_state(copies).tolist()
        self._resets += 1
        if self._batch is not None:
            self._batch.begun(slice(None))
        rows = stacked([env.reset(seed) for env, seed in zip(self._envs, seeds, strict=True)])
        if self._envs[0].masked:
            self.masks = np.stack([env.mask for env in self._envs if env.mask is not None])
        return rows

    def step(self, outputs: Array, rows: Rows, rewards: Array, ended: Array, cut: Array) -> list[Rows]:
        """Apply a policy's `outputs` [copies, ...]; fill in the rest: `ended` is terminated, `cut` truncated.

        A finished copy is reset and its row holds the new episode's first observation. Returns the final observations
        of the truncated copies in order, which the value of a cut episode is bootstrapped from.
        """
        actions = self._actions(outputs)
        if self._batch is not None:
            return self._step_together(self._batch, actions, rows, rewards, ended, cut)
        final: list[Rows] = []
        for copy, env in enumerate(self._envs):
            rewards[copy], terminated, truncated = env.step(actions[copy], rows, copy)
            if terminated or truncated:
                ended[copy], cut[copy] = bool(terminated), bool(truncated) and not terminated
                if cut[copy]:
                    final.append(mapped(np.array, at(rows, copy)))
                put(rows, copy, env.reset())
            if self.masks is not None:
                self.masks[copy] = env.mask
        return final

    def _step_together(
        self, batch: Batch, actions: Array, rows: Rows, rewards: Array, ended: Array, cut: Array
    ) -> list[Rows]:
        assert isinstance(rows, np.ndarray)
        final: list[Rows] = []
        rewards[:], over, late = batch.step(actions, self._all, rows)
        for copy in np.flatnonzero(over | late).tolist():
            ended[copy], cut[copy] = over[copy], late[copy] and not over[copy]
            if cut[copy]:
                final.append(rows[copy].copy())
            rows[copy] = self._envs[copy].reset()
            batch.begun(copy)
        return final

    def close(self) -> None:
        """Close every copy, for at most some seconds."""
        deadline = monotonic() + CLOSE_SECONDS
        for env in self._envs:
            if monotonic() < deadline:
                env.close()
