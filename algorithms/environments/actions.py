"""Maps from a policy's outputs to the actions of an environment: choices, bounds, dtype, shape."""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.types import Array

ActionMap = Callable[[Array], Array]
"""Policy outputs [n, ...] -> actions of the environment [n, ...], always in a new array."""
UNBOUNDED = 1e6
"""Bounds beyond it, which a space may give instead of none, say nothing about the scale of an action."""
ACTIONS = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Box)
"""Kinds of action spaces that policies have outputs for."""


def choices_of(space: spaces.Space[Any]) -> tuple[int, ...]:
    """Return the number of choices of each part of an action; none for a Box, whose actions are numbers.

    A Discrete has one part, a MultiDiscrete its own, a MultiBinary parts of two choices each.
    """
    match space:
        case spaces.Discrete():
            return (int(space.n),)
        case spaces.MultiDiscrete():
            return tuple(np.asarray(space.nvec).reshape(-1).tolist())
        case spaces.MultiBinary():
            return (2,) * int(np.prod(space.shape))
    return ()


def chosen(outputs: Array, choices: tuple[int, ...]) -> Array:
    """Return the choice with the largest of the `outputs` [..., all choices] of each part: int64 [...] or [..., parts].

    An action that is one choice has no dimension of parts.
    """
    if len(choices) == 1:
        return np.asarray(np.argmax(outputs, axis=-1))
    ends = np.cumsum(choices)
    parts = [np.argmax(outputs[..., end - n : end], axis=-1) for n, end in zip(choices, ends, strict=True)]
    return np.stack(parts, axis=-1)


def action_map(space: spaces.Space[Any]) -> ActionMap:
    """Return the one way from a policy's outputs to actions: first choice, bounds, whole numbers, dtype, shape.

    A policy chooses [n] or [n, parts], counted from 0. A Box action is held within the bounds and rounded
    where the space holds whole numbers.
    """
    match space:
        case spaces.Discrete():
            start = np.int64(space.start)
            return lambda choices: choices + start
        case spaces.MultiDiscrete():
            first = np.broadcast_to(np.asarray(getattr(space, "start", 0)), space.shape)
            return lambda choices: choices.reshape(-1, *space.shape).astype(space.dtype) + first.astype(space.dtype)
        case spaces.MultiBinary():
            return lambda choices: choices.reshape(-1, *space.shape).astype(space.dtype)
    assert isinstance(space, spaces.Box)
    return _bounded(space)


def _bounded(space: spaces.Box) -> ActionMap:
    shape, dtype = space.shape, space.dtype
    if dtype.kind == "f":
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        return lambda outputs: _shaped(np.minimum(np.maximum(outputs, low), high), dtype, shape)
    low, high = whole_bounds(space, dtype)
    return lambda outputs: _shaped(np.minimum(np.maximum(np.rint(outputs), low), high), dtype, shape)


def onto_bounds(space: spaces.Space[Any]) -> ActionMap:
    """Return the map of a Gaussian policy's outputs [n, action] that takes -1 and 1 to the bounds of a Box.

    So a policy explores the same share of every entry's range, be it +-0.4 or 0 to 1,000. Entries without two bounds
    below UNBOUNDED stay, and so do choices.
    """
    if not isinstance(space, spaces.Box):
        return unscaled
    middle, half = middle_and_half(space)
    return lambda outputs: middle + half * outputs


def middle_and_half(space: spaces.Box) -> tuple[Array, Array]:
    """Return the middle and half the width of the bounds, float32 [action]; 0 and 1 for entries that stay."""
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    return ((low + high) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)


def unscaled(outputs: Array) -> Array:
    """Return `outputs` as they are."""
    return outputs


def whole_bounds(space: spaces.Box, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return the bounds as float64 that the cast to `dtype` takes: 2**63 - 1 itself is no float64."""
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    most = float(2 ** (8 * dtype.itemsize - (dtype.kind == "i"))) if dtype.kind in "iu" else 2.0
    return low, np.minimum(high, np.nextafter(most, 0.0))


def _shaped(actions: Array, dtype: Any, shape: tuple[int, ...]) -> Array:
    actions = actions.astype(dtype, copy=False)
    return actions if len(shape) == 1 else actions.reshape(-1, *shape)
