"""Fragments as they arrive: their schema, the place of every step in a shard's rows, and their n-step returns.

A fragment holds T consecutive steps of C copies of an environment: arrays [T, C, ...], observations [T + 1, C, ...]. A
shard keeps it as rows, copy after copy: one row for each observation, with what was done there. So the next observation
of a step is that of a later row, and no observation is stored twice. Two kinds of rows begin no step: the last one of a
copy, and the final observation of a truncated episode, which stands between its last step and the reset.

Of stacks of K frames each frame travels and is stored once: such observations are frames [T + K, C, ...]. K - 1 rows
more stand before a copy's own. Frames before the first of an episode are that first frame.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.types import F32, Array, Bool, Int

FLAGS = ("terminated", "truncated")
IGNORED = ("episode_returns", "episode_lengths")
OBSERVATIONS, FINAL, STATES = "observations", "final", "states"


class MisfitError(ValueError):
    """A fragment that cannot be stored; the text says why."""


class Field(NamedTuple):
    """Type of one row of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    stack: int = 1
    """Frames that make up an observation."""

    @property
    def nbytes(self) -> int:
        """Bytes of a row."""
        return int(self.dtype.itemsize * prod(self.shape))

    @property
    def whole(self) -> tuple[int, ...]:
        """Shape of a whole observation."""
        return self.shape if self.stack == 1 else (self.stack, *self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.whole)}"


@dataclass(frozen=True)
class Schema:
    """Names and types of the arrays in a fragment; two fragments fit together where their schemas are equal."""

    observations: Mapping[str, Field]
    """Arrays with one row more than there are steps."""
    steps: Mapping[str, Field]
    """Arrays with a row for each step, but for rewards and flags."""

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> "Schema":
        """Return the schema of a fragment. Raises MisfitError for arrays that are none."""
        steps, copies = _size(arrays)
        seen: dict[str, Field] = {}
        done: dict[str, Field] = {}
        for name, array in arrays.items():
            kind = name.split(".")[0]
            if name in ("rewards", *FLAGS, *IGNORED) or kind == FINAL:
                continue
            more = len(array) - steps if array.ndim >= 2 and array.shape[1] == copies else -1
            if more not in (0, 1) and not (more > 1 and kind == OBSERVATIONS):
                raise MisfitError(
                    f"{name!r} has shape {array.shape}, which does not begin with {steps} x {copies} steps"
                )
            if more:
                seen[name] = Field(array.dtype, array.shape[2:], more)
            else:
                done[name] = Field(array.dtype, array.shape[2:])
        if "actions" not in done or not any(name.split(".")[0] == OBSERVATIONS for name in seen):
            raise MisfitError("there are no 'actions' of every step, or no 'observations' with one row more")
        return cls(dict(sorted(seen.items())), dict(sorted(done.items())))

    @property
    def stack(self) -> int:
        """Frames of the highest stack."""
        return max(field.stack for field in self.observations.values())

    def difference(self, other: "Schema") -> str:
        """Return in words how `other` differs; empty where it does not."""
        mine, theirs = {**self.observations, **self.steps}, {**other.observations, **other.steps}
        for name in sorted({*mine, *theirs}):
            if mine.get(name) != theirs.get(name):
                return f"{name!r} is {theirs.get(name, 'not there')}, where others sent {mine.get(name, 'none')}"
        return "" if self == other else "arrays of observations and of steps are exchanged"

    def plain(self) -> dict[str, Any]:
        """Return the schema as JSON says it, for snapshots."""
        return {
            kind: {name: [field.dtype.str, list(field.shape), field.stack] for name, field in fields.items()}
            for kind, fields in (("observations", self.observations), ("steps", self.steps))
        }


def _size(arrays: Mapping[str, Array]) -> tuple[int, int]:
    """Return steps and copies of a fragment. Raises MisfitError."""
    rewards = arrays.get("rewards")
    if rewards is None or rewards.ndim != 2 or rewards.dtype != np.float32 or not rewards.size:
        found = "missing" if rewards is None else f"{rewards.dtype} of shape {rewards.shape}"
        raise MisfitError(f"'rewards' is {found}, not float32 of shape (steps, copies)")
    for name in FLAGS:
        flags = arrays.get(name)
        if flags is None or flags.shape != rewards.shape or flags.dtype != np.bool_:
            raise MisfitError(f"{name!r} is no bool array of the shape {rewards.shape} of 'rewards'")
    check_flags(arrays)
    return int(rewards.shape[0]), int(rewards.shape[1])


def check_flags(arrays: Mapping[str, Array]) -> None:
    """Raise MisfitError where an episode is both terminated and truncated."""
    if (arrays["terminated"] & arrays["truncated"]).any():
        raise MisfitError("an episode is both terminated and truncated")


def final_name(name: str) -> str:
    """Return the name of the final observations that belong to an array of observations."""
    first, _, rest = name.partition(".")
    return ".".join(filter(None, (FINAL, rest if first == OBSERVATIONS else name)))


def finals(arrays: Mapping[str, Array], schema: Schema) -> Iterator[tuple[str, Array]]:
    """Yield (name of the observations, their final ones [k, ...]). Raises MisfitError where they do not fit."""
    cut = int(arrays["truncated"].sum())
    for name, field in schema.observations.items():
        final = arrays.get(final_name(name))
        if final is None and not cut:
            continue
        if final is None or final.shape != (cut, *field.shape) or final.dtype != field.dtype:
            found = "missing" if final is None else f"{final.dtype} {list(final.shape)}"
            raise MisfitError(f"{final_name(name)!r} is {found}; {cut} truncated episodes need {field} each")
        yield name, final


class Placement(NamedTuple):
    """Rows of a fragment, counted from its first one."""

    rows: int
    observations: Int
    """Row [T + 1, C] of each observation."""
    finals: Int
    """Row [k] of each final observation, in the order of the truncated steps."""
    starts: Int
    """First row [C] of each copy, that of the oldest frame of its first stack."""


def place(truncated: Bool, stack: int = 1) -> Placement:
    """Return the rows of a fragment with these truncated steps [T, C]."""
    steps, copies = truncated.shape
    before = np.zeros((steps + 1, copies), dtype=np.int64)
    np.cumsum(truncated, axis=0, out=before[1:])
    ends = np.cumsum(before[-1] + steps + stack)
    starts = np.concatenate([[0], ends[:-1]])
    rows = starts + (stack - 1) + before + np.arange(steps + 1)[:, None]
    return Placement(int(ends[-1]), rows, rows[:-1][truncated] + 1, starts)


def frame_ages(done: Bool, stack: int) -> Int:
    """Return how many earlier frames [T + 1, C] of its own episode a stack may take, at most `stack` - 1.

    All stacks of the episode that a fragment begins in have them all: its first stack travels whole.
    """
    steps = np.arange(len(done) + 1)[:, None]
    begun = np.full((len(done) + 1, done.shape[1]), 1 - stack)
    begun[1:][done] = np.broadcast_to(steps[1:], done.shape)[done]
    return np.minimum(steps - np.maximum.accumulate(begun, axis=0), stack - 1)


class Returns(NamedTuple):
    """N-step returns of a fragment, each [T, C]."""

    rewards: F32
    """Sum of gamma^k r over the m steps of the window."""
    discounts: F32
    """Factor of the value at the window's end: gamma^m, 0 where the episode terminated."""
    ahead: Int
    """Steps m of the window: n, or fewer where the episode or the fragment ends before."""


def n_step_returns(rewards: F32, terminated: Bool, truncated: Bool, n: int, gamma: float) -> Returns:
    """Return sums, discounts and lengths of the windows of up to `n` steps (Sutton 1988; Hessel et al. 2018).

    A window ends with its episode and with its fragment: there it is shorter, and its discount says so.
    """
    steps = len(rewards)
    sums, ahead = rewards.astype(np.float64), np.ones(rewards.shape, dtype=np.int64)
    open_, ends = ~(terminated | truncated), terminated.copy()
    for k in range(1, min(n, steps)):
        goes_on = open_[: steps - k]
        sums[: steps - k] += np.where(goes_on, gamma**k * rewards[k:], 0.0)
        ahead[: steps - k] += goes_on
        ends[: steps - k] |= goes_on & terminated[k:]
        open_[: steps - k] = goes_on & ~(terminated[k:] | truncated[k:])
    discounts = np.where(ends, 0.0, gamma**ahead)
    return Returns(sums.astype(np.float32), discounts.astype(np.float32), ahead)
