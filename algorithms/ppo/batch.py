"""Trajectories -> one batch of transitions ready for the epochs of an update."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.environments.rows import at, mapped, named
from surreal.algorithms.models.memory import Memories, Segments
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array


class Minibatch(NamedTuple):
    """Transitions of one gradient step, all [minibatch, ...], where the engine computes."""

    observations: Any
    actions: Any
    log_probs: Any
    advantages: Any
    returns: Any
    values: Any
    """The value estimates before the update, for clipping their change."""
    reference: Any = None
    """Policy outputs before the update, for the KL penalty; None without one."""
    masks: Any = None
    """Allowed choices; None where there are no masks."""
    memories: Memories | None = None
    """Order of the rows in whole sequences, time first; None without a memory."""


COLUMNS = Minibatch._fields[1:-1]
Place = Callable[[Array], Any]
"""Function that brings an array to where an engine computes."""


class Batch:
    """All transitions of an update, flat, to draw minibatches from. They are placed once, not once a minibatch."""

    def __init__(self, data: Trajectories, place: Place = lambda array: array) -> None:
        steps, copies = data.rewards.shape
        self.size, self._place = data.transitions, place
        self.rows = mapped(place, data.rows())
        """[(steps + 1) * copies + cut, ...] observations time first, then the final ones of cut episodes."""
        self._vectors = all(part.ndim == 2 for part in named("", self.rows).values())
        self.masks = None if data.masks is None else data.masks[:-1].reshape(self.size, -1)
        self._columns: dict[str, Any] = {
            **dict.fromkeys(COLUMNS),
            "actions": place(data.actions.reshape(self.size, *data.actions.shape[2:])),
            "log_probs": place(data.log_probs.reshape(self.size)),
        }
        if self.masks is not None:
            self._columns["masks"] = place(self.masks)
        self.advantages = self.returns = self.values = np.empty(0, dtype=np.float32)
        self.sequences = None if data.states is None else Sequences(data)

    @property
    def memories(self) -> Memories | None:
        """States and order of `rows`; None without a memory."""
        if self.sequences is None:
            return None
        return self.remembered(*self.sequences.whole())

    def estimate(self, advantages: Array, values: Array) -> None:
        """Set advantages and values [steps, copies]; the returns are their sum."""
        self.advantages, self.values = advantages.reshape(self.size), values.reshape(self.size)
        self.returns = self.advantages + self.values
        self._columns |= {name: self._place(getattr(self, name)) for name in ("advantages", "values", "returns")}

    def aim(self, returns: Array) -> None:
        """Set the returns [steps, copies] that values are moved to, and leave the advantages."""
        self.returns = returns.reshape(self.size)
        self._columns["returns"] = self._place(self.returns)

    def clip_from(self, log_probs: Array) -> None:
        """Set the log-probabilities [size] that ratios are measured from, instead of those of the policy that acted."""
        self._columns["log_probs"] = self._place(log_probs)

    def refer_to(self, reference: Array) -> None:
        """Set the outputs of the policy before the update [size, ...], for the KL penalty."""
        self._columns["reference"] = self._place(reference)

    def column(self, name: str) -> Any:
        """Return a column [size, ...] of the minibatches by its name, where the engine computes."""
        return self._columns[name]

    def shuffled(self, rng: np.random.Generator, minibatch: int) -> Iterator[Minibatch]:
        """Yield one epoch: every transition once, in a new order, in parts of `minibatch` (the last may be smaller).

        With a memory the parts are as many whole sequences as `minibatch` holds, one at least.
        """
        if self.sequences is None:
            order, memories = rng.permutation(self.size), None
        else:
            order, minibatch, memories = self.sequences.shuffled(rng, minibatch)
        placed = self._place(order)
        columns = [None if self._columns[name] is None else self._columns[name][placed] for name in COLUMNS]
        observations = at(self.rows, placed) if self._vectors else None
        for number, start in enumerate(range(0, self.size, minibatch)):
            cut = slice(start, start + minibatch)
            seen = at(self.rows, placed[cut]) if observations is None else at(observations, cut)
            parts = [None if column is None else column[cut] for column in columns]
            yield Minibatch._make([seen, *parts, None if memories is None else self.remembered(*memories(number))])

    def minibatch(self, rows: Array, memories: Memories | None = None, **columns: Array) -> Minibatch:
        """Return some rows as a minibatch, with other `columns` than the batch's where given."""
        placed = self._place(rows)
        parts = [None if self._columns[name] is None else self._columns[name][placed] for name in COLUMNS]
        made = Minibatch._make([at(self.rows, placed), *parts, memories])
        return made._replace(**{name: self._place(column) for name, column in columns.items()})

    def remembered(self, states: Array, segments: Segments) -> Memories:
        """Return memories with their states where the engine computes."""
        return Memories(self._place(states), segments)


class Sequences:
    """Pieces of fragments that begin with a stored state: the rows of a minibatch of a network with a memory."""

    def __init__(self, data: Trajectories) -> None:
        assert data.states is not None
        steps, copies = data.rewards.shape
        # The stored state of a sequence already is zero where an episode begins with it.
        self._starts = np.concatenate([np.zeros((1, copies), np.bool_), data.done])
        self._whole = data.segments
        self._states, self.length = data.states, steps // len(data.states)
        self._copies, self.count = copies, len(data.states) * copies

    def whole(self) -> tuple[Array, Segments]:
        """Return the states [copies, state_size] before all rows, and the segments of these."""
        return self._states[0], self._whole()

    def shuffled(
        self, rng: np.random.Generator, minibatch: int
    ) -> tuple[Array, int, Callable[[int], tuple[Array, Segments]]]:
        """Return the rows of an epoch in order, the rows of a minibatch, and its number -> its states and segments."""
        order, together = rng.permutation(self.count), max(1, minibatch // self.length)
        groups = [order[start : start + together] for start in range(0, self.count, together)]
        rows = np.concatenate([self.rows(group).reshape(-1) for group in groups])
        return rows, together * self.length, lambda number: self.memories(groups[number])

    def memories(self, sequences: Array) -> tuple[Array, Segments]:
        """Return the states before some sequences, and the segments of their rows."""
        starts = self._starts.reshape(-1)[self.rows(sequences)]
        return self._states[sequences // self._copies, sequences % self._copies], Segments.of(starts)

    def rows(self, sequences: Array) -> Array:
        """Return the rows [length, sequences] of some sequences."""
        block, copy = sequences // self._copies, sequences % self._copies
        steps = block * self.length + np.arange(self.length)[:, None]
        return np.asarray(steps * self._copies + copy)
