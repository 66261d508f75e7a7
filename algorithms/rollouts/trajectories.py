"""Fragments of actors side by side, as a learner computes with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from surreal.algorithms.environments.frames import unpack
from surreal.algorithms.environments.rows import Rows, at, joined, mapped
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.memory import Segments
from surreal.algorithms.normalizers import RewardScaler
from surreal.algorithms.rollouts.discount import START
from surreal.algorithms.types import Array


@dataclass(frozen=True)
class Share:
    """Copies of one of several learners that make an update together."""

    rank: int
    columns: tuple[Array, ...]
    """Columns of each learner's copies, by its index, in the order in which it has them, among those of all."""

    @property
    def copies(self) -> int:
        """Number of copies of all learners."""
        return sum(map(len, self.columns))

    @property
    def own(self) -> Array:
        """Column of this learner for each of all columns [copies]; -1 where another learner has it."""
        own = np.full(self.copies, -1)
        own[self.columns[self.rank]] = np.arange(len(self.columns[self.rank]))
        return own

    def joined(self, parts: Sequence[Array]) -> Array:
        """Return the arrays [steps, copies] of all learners, by index, as one over all columns."""
        whole = np.empty((len(parts[0]), self.copies), parts[0].dtype)
        for columns, part in zip(self.columns, parts, strict=True):
            whole[:, columns] = part
        return whole


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
    states: Array | None = None
    """[sequences, copies, state_size] memory before the first step of each sequence; None without a memory."""
    gamma: float = START
    """Discount, where the config leaves it to the run."""
    share: Share | None = None
    """Place of these copies among those of all learners; None where there is one learner."""
    far: bool = False
    """The horizon of that discount is beyond the usual one."""

    @property
    def transitions(self) -> int:
        """Number of environment steps."""
        return int(self.rewards.size)

    @property
    def done(self) -> Array:
        """Ends of episodes [steps, copies], whatever ended them."""
        return np.asarray(self.terminated | self.truncated)

    def rows(self) -> Rows:
        """Return observations [(steps + 1) * copies + cut, ...], time first, then the final ones of cut episodes."""
        return mapped(_with, self.observations, self.final)

    def segments(self) -> Segments:
        """Return the order of `rows` for a network with memory."""
        nothing = np.zeros((1, self.rewards.shape[1]), np.bool_)
        # The stored state already is zero where an episode begins with it.
        starts = np.concatenate([nothing, self.done])
        return Segments.of(starts, np.concatenate([self.truncated, nothing]))


def _with(seen: Array, final: Array) -> Array:
    """Return observations [steps + 1, copies, ...] in one row after another, then the final ones."""
    rows = seen.reshape(-1, *seen.shape[2:])
    return np.concatenate([rows, final]) if len(final) else rows


@dataclass(frozen=True)
class Fragment:
    """Content of one message of an actor, with whole observations."""

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
        states=join("states") if "states" in fragments[0].arrays else None,
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
