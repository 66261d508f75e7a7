"""Fragments from actors -> one batch of transitions ready for the epochs of an update."""

from dataclasses import dataclass

import numpy as np

from surreal.algorithms.normalizers import RewardScaler, Standardizer
from surreal.algorithms.types import Array


@dataclass(frozen=True)
class Trajectories:
    """The fragments of one update side by side: [steps, copies of all actors, ...]."""

    observations: Array
    """[steps + 1, copies, observation] standardised; the last row follows the last step."""
    final: Array
    """[cut, observation] standardised: what the truncated episodes ended in."""
    actions: Array
    log_probs: Array
    """Log-probabilities under the policy that acted."""
    rewards: Array
    terminated: Array
    truncated: Array

    @property
    def transitions(self) -> int:
        """Number of environment steps."""
        return int(self.rewards.size)


def trajectories(
    fragments: list[dict[str, Array]], standardize: Standardizer, scale: RewardScaler | None
) -> Trajectories:
    """Join fragments along the copies, standardise observations, scale rewards."""

    def join(name: str) -> Array:
        return np.concatenate([fragment[name] for fragment in fragments], axis=1)

    rewards, truncated = join("rewards"), join("truncated")
    return Trajectories(
        observations=standardize(join("observations")),
        final=standardize(_final(fragments, truncated)),
        actions=join("actions"),
        log_probs=join("log_probs"),
        rewards=scale(rewards) if scale else rewards.astype(np.float32),
        terminated=join("terminated"),
        truncated=truncated,
    )


def _final(fragments: list[dict[str, Array]], truncated: Array) -> Array:
    """Return the final observations of all fragments in the row-major order of the joined `truncated`."""
    size = fragments[0]["observations"].shape[-1]
    spread = np.zeros((*truncated.shape, size), dtype=np.float32)
    start = 0
    for fragment in fragments:
        cut = fragment["truncated"]
        spread[:, start : start + cut.shape[1]][cut] = fragment["final"]
        start += cut.shape[1]
    return np.asarray(spread[truncated])


@dataclass(frozen=True)
class Minibatch:
    """Transitions of one gradient step, all [minibatch, ...]."""

    observations: Array
    actions: Array
    log_probs: Array
    advantages: Array
    returns: Array
    values: Array
    """The value estimates before the update, for clipping their change."""
    reference: Array | None
    """Policy outputs before the update, for the KL penalty; None without one."""


class Batch:
    """All transitions of an update, flat, to draw minibatches from."""

    def __init__(self, data: Trajectories) -> None:
        flat = data.transitions
        self.size = flat
        self.observations = data.observations[:-1].reshape(flat, -1)
        self.actions = data.actions.reshape(flat, *data.actions.shape[2:])
        self.log_probs = data.log_probs.reshape(flat)
        self.advantages = self.returns = self.values = np.empty(0, dtype=np.float32)
        self.reference: Array | None = None

    def estimate(self, advantages: Array, values: Array) -> None:
        """Set advantages and values [steps, copies]; the returns are their sum."""
        self.advantages, self.values = advantages.reshape(self.size), values.reshape(self.size)
        self.returns = self.advantages + self.values

    def shuffled(self, rng: np.random.Generator, minibatch: int) -> list[Minibatch]:
        """Yield one epoch: every transition once, in a new order, in parts of `minibatch` (the last may be smaller)."""
        order = rng.permutation(self.size)
        columns = (self.observations, self.actions, self.log_probs, self.advantages, self.returns, self.values)
        observations, actions, log_probs, advantages, returns, values = (column[order] for column in columns)
        reference = None if self.reference is None else self.reference[order]
        return [
            Minibatch(
                observations[cut],
                actions[cut],
                log_probs[cut],
                advantages[cut],
                returns[cut],
                values[cut],
                None if reference is None else reference[cut],
            )
            for cut in (slice(start, start + minibatch) for start in range(0, self.size, minibatch))
        ]
