"""Spaces of an environment as its policy sees them: features in, outputs out, and the two maps between.

Every role that steps an environment uses these maps. So an evaluation acts as an actor does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

Space = spaces.Space[Any]
ActionMap = Callable[[Array], Array]
"""Policy outputs [n, ...] -> actions of the environment [n, ...], always in a new array."""
Features = Callable[[Any], Array]
"""One observation -> its features [observation]."""
UNBOUNDED = 1e6
"""Bounds beyond it, which a space may give instead of none, say nothing about the scale of an action."""
NO_FIXED_LENGTH = (spaces.Sequence, spaces.Graph, spaces.Text)


@dataclass(frozen=True)
class Spaces:
    """Spaces of an environment, and the lengths of the vectors a policy has for them."""

    observation_space: Space
    action_space: Space

    @classmethod
    def flat(cls, observation: int, action: int, discrete: bool) -> "Spaces":
        """Return plain spaces: an unbounded vector, and choices from 0 or an unbounded vector."""
        seen = spaces.Box(-np.inf, np.inf, (observation,), np.float32)
        return cls(seen, spaces.Discrete(action) if discrete else spaces.Box(-np.inf, np.inf, (action,), np.float32))

    @cached_property
    def observation(self) -> int:
        """Features of an observation."""
        return int(spaces.flatdim(self.observation_space))

    @cached_property
    def action(self) -> int:
        """Outputs of a policy: the entries of an action, or the choices."""
        return int(spaces.flatdim(self.action_space))

    @cached_property
    def discrete(self) -> bool:
        """True where an action is one of several choices."""
        return isinstance(self.action_space, spaces.Discrete)


def check_spaces(name: str, found: Spaces) -> None:
    """Raise Fatal where no policy here takes the spaces of the environment `name`."""
    for part in _parts(found.observation_space):
        if isinstance(part, NO_FIXED_LENGTH) or not part.is_np_flattenable:
            what = f"has the observation space {part}, which has no fixed length"
            raise Fatal(f"environment {name!r} {what}. Wrap it to return a Box of features.")
        if _is_image(part):
            what = f"observes images: {part}. ppo, es and ars take vectors"
            raise Fatal(f"environment {name!r} {what}. Wrap it to return features.")
    action = found.action_space
    if not (isinstance(action, spaces.Discrete) or isinstance(action, spaces.Box) and action.shape):
        raise Fatal(
            f"environment {name!r} has the action space {action}. "
            "Wrap it to take a Discrete or a Box with at least one dimension."
        )


def _parts(space: Space) -> Iterator[Space]:
    """Yield the spaces that `space` consists of, itself where it is no Dict and no Tuple."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for part in space.values() if isinstance(space, spaces.Dict) else space:
            yield from _parts(part)
    else:
        yield space


def _is_image(space: Space) -> bool:
    if not isinstance(space, spaces.Box):
        return False
    return len(space.shape) > 2 or (len(space.shape) == 2 and space.dtype == np.uint8)


def features_of(space: Space) -> Features | None:
    """Return how an observation becomes features; None where an array of the space already is its features."""
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return None
    return lambda observation: np.asarray(spaces.flatten(space, observation))


def action_map(space: Space) -> ActionMap:
    """Return the one way from a policy's outputs to actions: bounds, first choice, whole numbers, dtype, shape.

    A Box action is held within the bounds and rounded where the space holds whole numbers.
    """
    if isinstance(space, spaces.Discrete):
        start = np.int64(space.start)
        return lambda choices: choices + start
    assert isinstance(space, spaces.Box)
    shape, dtype = space.shape, space.dtype
    assert dtype is not None
    if dtype.kind == "f":
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        return lambda outputs: _shaped(np.minimum(np.maximum(outputs, low), high), dtype, shape)
    low, high = _whole_bounds(space, dtype)
    return lambda outputs: _shaped(np.minimum(np.maximum(np.rint(outputs), low), high), dtype, shape)


def onto_bounds(space: Space) -> ActionMap:
    """Return the map of a Gaussian policy's outputs [n, action] that takes -1 and 1 to the bounds of a Box.

    So a policy explores the same share of every entry's range, be it +-0.4 or 0 to 1,000. Entries without two bounds
    below UNBOUNDED stay, and so do choices.
    """
    if not isinstance(space, spaces.Box):
        return lambda outputs: outputs
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    bounded = (np.abs(low) < UNBOUNDED) & (np.abs(high) < UNBOUNDED)
    low, high = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
    middle, half = ((low + high) / 2).astype(np.float32), ((high - low) / 2).astype(np.float32)
    return lambda outputs: middle + half * outputs


def _whole_bounds(space: spaces.Box, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Return the bounds as float64 that the cast to `dtype` takes: 2**63 - 1 itself is no float64."""
    low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
    most = float(2 ** (8 * dtype.itemsize - (dtype.kind == "i"))) if dtype.kind in "iu" else 2.0
    return low, np.minimum(high, np.nextafter(most, 0.0))


def _shaped(actions: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    actions = actions.astype(dtype, copy=False)
    return actions if len(shape) == 1 else actions.reshape(-1, *shape)
