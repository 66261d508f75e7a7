"""Episodes as replay takes them: features and actions as a policy sees them, one copy, pieces of a bounded length."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.datasets.episode import DamagedError, Episode, Nested
from surreal.algorithms.environments.actions import middle_and_half
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.types import Array, narrowed

PIECE = 10_000
"""Steps of a fragment; a longer episode is cut into several, which changes no transition."""


class Fragments:
    """Map from episodes to fragments of an environment with these spaces."""

    def __init__(self, found: Spaces) -> None:
        """Take the spaces of the environment that the policy is evaluated in."""
        self._spaces = found
        self._onto: tuple[Any, Any] = (np.float32(0), np.float32(1))
        if isinstance(found.action_space, spaces.Box) and found.scaling == "auto":
            self._onto = middle_and_half(found.action_space)

    def of(self, episode: Episode) -> Iterator[dict[str, Array]]:
        """Yield the fragments of an episode. Raises DamagedError where it does not fit the environment."""
        try:
            features = narrowed(flat(self._spaces.observation_space, episode.observations, len(episode) + 1))
            actions = self.actions(episode.actions)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise DamagedError(
                f"{episode.place}: it does not fit the environment's {self._spaces.observation_space} and "
                f"{self._spaces.action_space}: {error}. Name the environment that it was recorded in."
            ) from None
        bad = [name for name, array in (("observations", features), ("actions", actions)) if not finite(array)]
        if bad:
            raise DamagedError(f"{episode.place}: its {bad[0]} are not all finite. Set skip_damaged: true.")
        for start in range(0, len(episode), PIECE):
            end = min(start + PIECE, len(episode))
            terminated = np.zeros((end - start, 1), dtype=np.bool_)
            terminated[-1] = episode.terminated and end == len(episode)
            yield {
                "observations": features[start : end + 1, None],
                "actions": actions[start:end, None],
                "rewards": episode.rewards[start:end, None].astype(np.float32),
                "terminated": terminated,
                # a fragment that ends without a flag is bootstrapped from its last observation, as a cut episode is
                "truncated": np.zeros_like(terminated),
            }

    def actions(self, actions: Array) -> Array:
        """Return actions as a policy gives them: choices from 0, or float32 [steps, action], the bounds as +-1."""
        found, space = self._spaces, self._spaces.action_space
        if found.discrete:
            whole = np.asarray(actions)
            if whole.dtype.kind not in "iu":
                raise ValueError(f"actions of type {whole.dtype} are no choices")
            chosen = whole.reshape(len(actions), -1).astype(np.int64)[:, 0] - int(getattr(space, "start", 0))
            if len(chosen) and not 0 <= chosen.min() <= chosen.max() < found.action:
                raise ValueError(f"a choice of {chosen.max()} or {chosen.min()} is none of {found.action}")
            return chosen
        flat_actions = np.asarray(actions, dtype=np.float32).reshape(len(actions), -1)
        if flat_actions.shape[1] != found.action:
            raise ValueError(f"actions have {flat_actions.shape[1]} numbers, not {found.action}")
        middle, half = self._onto
        return np.asarray((flat_actions - middle) / half, dtype=np.float32)


def flat(space: spaces.Space[Any], rows: Nested, count: int) -> Array:
    """Return observations as gymnasium flattens them [count, features]. Raises ValueError where they do not fit."""
    if isinstance(space, spaces.Dict):
        parts: list[Array] = [flat(part, rows[key], count) for key, part in space.spaces.items()]
        return np.concatenate(parts, axis=1)
    if isinstance(space, spaces.Tuple):
        parts = [flat(part, rows[number], count) for number, part in enumerate(space.spaces)]
        return np.concatenate(parts, axis=1)
    array = np.asarray(rows)
    if isinstance(space, spaces.Discrete):
        return _one_hot(array.reshape(count) - int(space.start), int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        table, start = array.reshape(count, -1), np.asarray(getattr(space, "start", 0)).reshape(-1)
        sizes = space.nvec.reshape(-1)
        first = np.broadcast_to(start, sizes.shape)
        return np.concatenate([_one_hot(table[:, n] - first[n], int(size)) for n, size in enumerate(sizes)], axis=1)
    wanted = int(spaces.flatdim(space))
    found = array.reshape(count, -1)
    if found.shape[1] != wanted:
        raise ValueError(f"observations have {found.shape[1]} numbers, not {wanted}")
    return found


def _one_hot(choices: Array, count: int) -> Array:
    if len(choices) and not 0 <= choices.min() <= choices.max() < count:
        raise ValueError(f"an observation is outside 0 to {count - 1}")
    return np.eye(count, dtype=np.float32)[choices.astype(np.int64)]


def finite(array: Array) -> bool:
    """Return True where no number is NaN or infinite."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
