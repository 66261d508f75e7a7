"""Observations of a fragment: as an actor collects them, as they travel, and as a learner gets them back.

Of a frame stack every frame is stored and sent once. Row t of a fragment's stacks is frames[t : t + stack], but that
frames before the first of an episode are that first frame, as gymnasium's FrameStackObservation has it.
"""

from typing import Protocol

import numpy as np

from surreal.algorithms.environments.rows import Rows, at, from_named, like, mapped, named, put, stacked
from surreal.algorithms.environments.spaces import Leaf, Spaces
from surreal.algorithms.types import Array, Bool


class Observations(Protocol):
    """Observations of one fragment, row 0 to row `steps`."""

    def row(self, t: int) -> Rows:
        """Return row t [copies, ...] to act on, or to write into before `wrote(t)`; the next row may overwrite it."""

    def wrote(self, t: int) -> None:
        """Note that row t is complete."""

    def last(self) -> Rows:
        """Return the last row, which the next fragment begins with."""

    def arrays(self, final: list[Rows]) -> dict[str, Array]:
        """Return the arrays of a message; `final` are the observations [...] that truncated episodes ended in."""


def observations(spaces: Spaces, first: Rows, steps: int) -> Observations:
    """Return the observations of a fragment of `steps` that begins with the rows `first` [copies, ...]."""
    return _Stacks(spaces.stack, first, steps) if spaces.stack > 1 else _Plain(first, steps)


class _Plain:
    """See Observations."""

    def __init__(self, first: Rows, steps: int) -> None:
        self._rows = like(first, steps + 1)
        put(self._rows, 0, first)

    def row(self, t: int) -> Rows:
        return at(self._rows, t)

    def wrote(self, t: int) -> None:
        pass

    def last(self) -> Rows:
        return at(self._rows, -1)

    def arrays(self, final: list[Rows]) -> dict[str, Array]:
        return {**named("observations", self._rows), **named("final", _together(final, at(self._rows, 0)))}


class _Stacks:
    """See Observations: one row of stacks that is written over, and every frame once."""

    def __init__(self, stack: int, first: Rows, steps: int) -> None:
        self._stack, self._row = stack, mapped(np.array, first)
        self._frames = mapped(lambda array: _frames(array, stack, steps), first)

    def row(self, t: int) -> Rows:
        return self._row

    def wrote(self, t: int) -> None:
        put(self._frames, t + self._stack - 1, mapped(lambda array: array[:, -1], self._row))

    def last(self) -> Rows:
        return self._row

    def arrays(self, final: list[Rows]) -> dict[str, Array]:
        newest = [at(stacks, -1) for stacks in final]
        return {**named("observations", self._frames), **named("final", _together(newest, at(self._frames, 0)))}


def _frames(first: Array, stack: int, steps: int) -> Array:
    """Return room for all frames of a leaf [stack + steps, copies, ...], begun with those of `first`."""
    copies, _, *frame = first.shape
    frames = np.empty((stack + steps, copies, *frame), first.dtype)
    frames[:stack] = np.moveaxis(first, 1, 0)
    return frames


def _together(final: list[Rows], row: Rows) -> Rows:
    """Return `final` as rows [cut, ...] of the types of `row` [copies, ...], also where there are none."""
    if not final:
        return mapped(lambda array: np.empty((0, *array.shape[1:]), array.dtype), row)
    return mapped(lambda joined, array: joined.astype(array.dtype, copy=False), stacked(final), row)


def unpack(arrays: dict[str, Array], spaces: Spaces) -> tuple[Rows, Rows]:
    """Return (observations [steps + 1, copies, ...], final [cut, ...]) of a fragment, frame stacks made whole again."""
    rows, final = from_named("observations", arrays), from_named("final", arrays)
    if spaces.stack == 1:
        return rows, final
    cut = arrays["truncated"]
    index = _frame_index(arrays["terminated"] | cut, spaces.stack)
    copies = np.arange(cut.shape[1])[None, :, None]
    whole = mapped(lambda frames: frames[index, copies], rows)
    before = mapped(lambda stacks: stacks[:-1][cut][:, 1:], whole)
    return whole, mapped(lambda old, new: np.concatenate([old, new[:, None]], axis=1), before, final)


def _frame_index(done: Bool, stack: int) -> Array:
    """Return the frames [steps + 1, copies, stack] that each stack is made of."""
    steps, copies = done.shape
    row = np.arange(steps + 1)[:, None]
    begun = np.zeros((steps + 1, copies), np.int64)  # the frame that the present episode began with
    begun[1:] = np.where(done, row[1:] + stack - 1, 0)
    begun = np.maximum.accumulate(begun, axis=0)
    return np.maximum(row[:, :, None] + np.arange(stack), begun[:, :, None])


def shapes(spaces: Spaces, steps: int, copies: int) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Return name -> (shape, type) of the observations in a message of `steps` and `copies`."""
    lead = (steps + spaces.stack, copies)
    return {_name("observations", name): ((*lead, *frame(leaf, spaces)), leaf.dtype) for name, leaf in _leaves(spaces)}


def final_shapes(spaces: Spaces, cut: int) -> dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]:
    """Return name -> (shape, type) of the final observations of `cut` truncated episodes."""
    return {_name("final", name): ((cut, *frame(leaf, spaces)), leaf.dtype) for name, leaf in _leaves(spaces)}


def frame(leaf: Leaf, spaces: Spaces) -> tuple[int, ...]:
    """Return the shape of what travels of one observation of a leaf: a single frame of a stack."""
    return leaf.shape[1:] if spaces.stack > 1 else leaf.shape


def _leaves(spaces: Spaces) -> list[tuple[str, Leaf]]:
    return list(spaces.leaves.items())


def _name(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if name else prefix
