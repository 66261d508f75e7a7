"""Spaces of an environment as its policy sees them: leaves of observations in, outputs out.

Every role that steps an environment uses the same reading of them. So an evaluation acts as an actor does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from surreal.algorithms.environments.actions import ACTIONS, ActionMap, choices_of, onto_bounds, unscaled
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal

Space = spaces.Space[Any]
View = Literal["features", "parts", "auto"]
"""One vector of features, or parts that keep shape and type; auto: parts where there is an image among them."""
Scaling = Literal["auto", "none"]
Path = tuple[str | int, ...]
"""Keys and numbers that lead to a part of a Dict or Tuple."""
NO_FIXED_LENGTH = (spaces.Sequence, spaces.Graph, spaces.Text)


@dataclass(frozen=True)
class Leaf:
    """One array of an observation."""

    shape: tuple[int, ...]
    """Shape without the leading dimension; a frame stack comes first: [4, 84, 84]."""
    dtype: np.dtype[Any]
    """Type of its arrays; float32 may be float64 where a number is too large for it."""
    low: float | None = None
    """Lower bound of all entries, None where they differ or have none."""
    high: float | None = None

    @property
    def image(self) -> bool:
        """True for three dimensions or more, and for two of uint8."""
        return len(self.shape) > 2 or (len(self.shape) == 2 and self.dtype == np.uint8)

    @property
    def standardized(self) -> bool:
        """True where running statistics are kept of it: numbers that are no image."""
        return self.dtype.kind == "f" and not self.image

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)


@dataclass(frozen=True)
class Spaces:
    """Spaces of an environment, and the arrays a policy has for them."""

    observation_space: Space
    action_space: Space
    view: View = "features"
    """View of observations; never auto after `seen_as`."""
    scaling: Scaling = "auto"
    """Spreading of a policy's -1 to 1 over the bounds of a Box."""
    stack: int = 1
    """Frames of a stack along the first dimension of every leaf; 1 for none."""

    @classmethod
    def flat(cls, observation: int, action: int, discrete: bool) -> "Spaces":
        """Return plain spaces: an unbounded vector, and choices from 0 or an unbounded vector."""
        seen = spaces.Box(-np.inf, np.inf, (observation,), np.float32)
        return cls(seen, spaces.Discrete(action) if discrete else spaces.Box(-np.inf, np.inf, (action,), np.float32))

    def seen_as(self, view: View) -> "Spaces":
        """Return these spaces in that view; auto chooses parts where an image is among them."""
        if view == "auto":
            view = "parts" if any(_is_image(part) for _, part in parts(self.observation_space)) else "features"
        return replace(self, view=view)

    @cached_property
    def leaves(self) -> dict[str, Leaf]:
        """Dotted name -> leaf, in the space's own order; the name is empty where there is one only."""
        if self.view == "features":
            return {"": Leaf((self.observation,), np.dtype(np.float32))}
        found = {".".join(map(str, path)): _leaf(part) for path, part in parts(self.observation_space)}
        return {"": next(iter(found.values()))} if len(found) == 1 else found

    @cached_property
    def sees_images(self) -> bool:
        """Return True if an image is observed as one, alone or among other parts."""
        return any(leaf.image for leaf in self.leaves.values())

    @cached_property
    def observation(self) -> int:
        """Features of an observation, all parts together."""
        return int(spaces.flatdim(self.observation_space))

    @cached_property
    def choices(self) -> tuple[int, ...]:
        """Choices of each part of an action; none where an action is numbers."""
        return choices_of(self.action_space)

    @cached_property
    def action(self) -> int:
        """Outputs of a policy: the entries of an action, or all choices."""
        return sum(self.choices) if self.discrete else int(spaces.flatdim(self.action_space))

    @property
    def discrete(self) -> bool:
        """True where an action is made of choices."""
        return bool(self.choices)

    @property
    def taken(self) -> tuple[int, ...]:
        """Shape of one action as a policy gives it: none for a single choice, else its parts or entries."""
        entries = len(self.choices) if self.discrete else self.action
        return () if self.discrete and entries == 1 else (entries,)

    @cached_property
    def onto_bounds(self) -> ActionMap:
        """Map of a policy's outputs [n, action] that takes -1 and 1 to the bounds, unless `scaling` is none."""
        return unscaled if self.scaling == "none" else onto_bounds(self.action_space)


def declared(name: str, env: Any) -> tuple[Space, Space]:
    """Return the spaces of observations and of actions of the environment that is called `name`, quotes included.

    Raises Fatal where it declares none.
    """
    return _declared(name, env, "observation_space"), _declared(name, env, "action_space")


def _declared(name: str, env: Any, key: str) -> Space:
    # A wrapper asks what it wraps, so that a space may be missing at any depth.
    space = getattr(env, key, None)
    if isinstance(space, spaces.Space):
        return space
    what = f"declares no {key}" if space is None else f"declares no {key}, but {space!r}"
    raise Fatal(f"environment {name}: {what}. Set it to a space of gymnasium in its constructor.")


def check_spaces(name: str, found: Spaces) -> None:
    """Raise Fatal where no policy here takes the spaces of the environment that is called `name`, quotes included."""
    for path, part in parts(found.observation_space):
        if isinstance(part, NO_FIXED_LENGTH) or not part.is_np_flattenable:
            what = f"has the observation space {part}, which has no fixed length"
            raise Fatal(f"environment {name}: {what}. Wrap it to return a Box of features.")
        if any("." in str(key) for key in path):
            raise Fatal(f"environment {name}: names a part of its observations {path[-1]!r}. Use a name without '.'.")
        if found.view == "features" and _is_image(part):
            what = f"observes images: {part}. This policy takes a vector of features"
            raise Fatal(
                f"environment {name}: {what}. "
                "Choose a network for images (ppo, impala, r2d2), or wrap the environment to return features."
            )
    sizes = [spaces.flatdim(part) for _, part in parts(found.observation_space)]
    if not sizes or 0 in sizes:
        what = f"observes {found.observation_space}, in which a part has no numbers"
        raise Fatal(f"environment {name}: {what}. Wrap it to return one number at least.")
    action = found.action_space
    no_dimension = isinstance(action, spaces.Box) and not action.shape
    if not isinstance(action, ACTIONS) or no_dimension or not spaces.flatdim(action):
        raise Fatal(
            f"environment {name}: has the action space {action}. "
            "Wrap it to take a Discrete, MultiDiscrete, MultiBinary, or a Box with at least one dimension and number."
        )


def parts(space: Space, path: Path = ()) -> Iterator[tuple[Path, Space]]:
    """Yield path and space of all that `space` consists of, itself where it is no Dict and no Tuple."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for key, part in space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces):
            yield from parts(part, (*path, key))
    else:
        yield path, space


def _leaf(space: Space) -> Leaf:
    if not isinstance(space, spaces.Box):
        return Leaf((int(spaces.flatdim(space)),), np.dtype(np.uint8), 0.0, 1.0)
    dtype = np.dtype(np.float32) if space.dtype.kind == "f" else space.dtype
    return Leaf(space.shape, dtype, _bound(space.low), _bound(space.high))


def _bound(values: Array) -> float | None:
    first = float(values.flat[0]) if values.size else np.inf
    return first if np.isfinite(first) and (values == values.flat[0]).all() else None


def _is_image(space: Space) -> bool:
    return isinstance(space, spaces.Box) and _leaf(space).image


def reader(found: Spaces) -> Callable[[Any], Rows] | None:
    """Return how an observation of the environment becomes one row; None where it already is the array."""
    space = found.observation_space
    if found.view == "features":
        if isinstance(space, spaces.Box) and len(space.shape) == 1:
            return None
        return lambda observation: np.asarray(spaces.flatten(space, observation))
    if isinstance(space, spaces.Box):
        return None
    readers = {".".join(map(str, path)): (path, _one(part)) for path, part in parts(space)}
    if len(readers) == 1:
        ((path, read),) = readers.values()
        return lambda observation: read(_inside(observation, path))
    return lambda observation: {name: read(_inside(observation, path)) for name, (path, read) in readers.items()}


def _one(space: Space) -> Callable[[Any], Array]:
    if isinstance(space, spaces.Box):
        return np.asarray
    return lambda value: np.asarray(spaces.flatten(space, value), dtype=np.uint8)


def _inside(observation: Any, path: Path) -> Any:
    for key in path:
        observation = observation[key]
    return observation
