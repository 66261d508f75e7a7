"""Fragments from actors -> one batch of transitions ready for the epochs of an update."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surreal.algorithms.environments.frames import unpack
from surreal.algorithms.environments.rows import Rows, at, joined, mapped
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.normalizers import RewardScaler
from surreal.algorithms.types import Array


@dataclass(frozen=True)
class Trajectories:
    """The fragments of one update side by side: [steps, copies of all actors, ...]."""

    observations: Rows
    """[steps + 1, copies, ...] standardised; the last row follows the last step."""
    final: Rows
    """[cut, ...] standardised: what the truncated episodes ended in."""
    actions: Array
    log_probs: Array
    """Log-probabilities under the policy that acted."""
    rewards: Array
    terminated: Array
    truncated: Array
    masks: Array | None = None
    """Allowed choices [steps + 1, copies, all]; None where there are no masks."""

    @property
    def transitions(self) -> int:
        """Number of environment steps."""
        return int(self.rewards.size)


@dataclass(frozen=True)
class Fragment:
    """What one message of an actor holds, with whole observations."""

    arrays: dict[str, Array]
    observations: Rows
    """[steps + 1, copies, ...] as the environment gave them."""
    final: Rows
    """[cut, ...] in the row-major order of `truncated`."""

    @classmethod
    def of(cls, arrays: dict[str, Array], spaces: Spaces) -> "Fragment":
        """Return the fragment of the arrays of a message."""
        return cls(arrays, *unpack(arrays, spaces))


def trajectories(
    fragments: list[Fragment], standardize: Callable[[Rows], Rows], scale: RewardScaler | None
) -> Trajectories:
    """Join fragments along the copies, standardise observations, scale rewards."""

    def join(name: str) -> Array:
        return np.concatenate([fragment.arrays[name] for fragment in fragments], axis=1)

    rewards, truncated = join("rewards"), join("truncated")
    return Trajectories(
        observations=standardize(joined([fragment.observations for fragment in fragments], axis=1)),
        final=standardize(_final(fragments, truncated)),
        actions=join("actions"),
        log_probs=join("log_probs"),
        rewards=scale(rewards) if scale else rewards.astype(np.float32),
        terminated=join("terminated"),
        truncated=truncated,
        masks=join("masks") if "masks" in fragments[0].arrays else None,
    )


def _final(fragments: list[Fragment], truncated: Array) -> Rows:
    """Return the final observations of all fragments in the row-major order of the joined `truncated`."""
    places = []
    start = 0
    for fragment in fragments:
        steps, copies = np.nonzero(fragment.arrays["truncated"])
        places.append(steps * truncated.shape[1] + start + copies)
        start += fragment.arrays["truncated"].shape[1]
    return at(joined([fragment.final for fragment in fragments]), np.argsort(np.concatenate(places), kind="stable"))


@dataclass(frozen=True)
class Minibatch:
    """Transitions of one gradient step, all [minibatch, ...]."""

    observations: Rows
    actions: Array
    log_probs: Array
    advantages: Array
    returns: Array
    values: Array
    """The value estimates before the update, for clipping their change."""
    reference: Array | None
    """Policy outputs before the update, for the KL penalty; None without one."""
    masks: Array | None = None
    """Allowed choices; None where there are no masks."""


class Batch:
    """All transitions of an update, flat, to draw minibatches from."""

    def __init__(self, data: Trajectories) -> None:
        flat = data.transitions
        self.size = flat
        self.observations = mapped(lambda array: array[:-1].reshape(flat, *array.shape[2:]), data.observations)
        self.actions = data.actions.reshape(flat, *data.actions.shape[2:])
        self.log_probs = data.log_probs.reshape(flat)
        self.masks = None if data.masks is None else data.masks[:-1].reshape(flat, -1)
        self.advantages = self.returns = self.values = np.empty(0, dtype=np.float32)
        self.reference: Array | None = None

    def estimate(self, advantages: Array, values: Array) -> None:
        """Set advantages and values [steps, copies]; the returns are their sum."""
        self.advantages, self.values = advantages.reshape(self.size), values.reshape(self.size)
        self.returns = self.advantages + self.values

    def shuffled(self, rng: np.random.Generator, minibatch: int) -> list[Minibatch]:
        """Yield one epoch: every transition once, in a new order, in parts of `minibatch` (the last may be smaller)."""
        order = rng.permutation(self.size)
        observations = at(self.observations, order)
        columns = (self.actions, self.log_probs, self.advantages, self.returns, self.values)
        actions, log_probs, advantages, returns, values = (column[order] for column in columns)
        reference, masks = (None if each is None else each[order] for each in (self.reference, self.masks))
        return [
            Minibatch(
                at(observations, cut),
                actions[cut],
                log_probs[cut],
                advantages[cut],
                returns[cut],
                values[cut],
                None if reference is None else reference[cut],
                None if masks is None else masks[cut],
            )
            for cut in (slice(start, start + minibatch) for start in range(0, self.size, minibatch))
        ]
