"""Building of an episode step by step, from what an environment returned."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from surreal.algorithms.datasets.episode import Episode, Nested


class Building:
    """An episode under way. Observations are copied: the environment may write into its own again."""

    def __init__(self, observation: Any, seed: int | None = None) -> None:
        """Begin with what a reset returned; `seed` is the one of the reset."""
        self._seen, self._actions = [_copied(observation)], list[Any]()
        self._rewards, self._logs, self._seed = list[float](), list[float](), seed

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self._rewards)

    def add(self, action: Any, observation: Any, reward: Any, log_p: float = float("nan")) -> None:
        """Take a step: its action, of log-probability `log_p`, what it led to, and its reward, a number of any kind."""
        self._seen.append(_copied(observation))
        self._actions.append(_copied(action))
        self._rewards.append(float(np.ravel(reward)[0]))
        self._logs.append(log_p)

    def episode(self, place: str, terminated: bool) -> Episode:
        """Return the episode, which was cut where it is not `terminated`; `place` is for errors."""
        known = not np.isnan(self._logs).any()
        return Episode(
            place,
            _stacked(self._seen),
            np.asarray(self._actions),
            np.asarray(self._rewards, dtype=np.float64),
            terminated,
            not terminated,
            self._seed,
            {"log_probabilities": np.asarray(self._logs)} if known else {},
        )


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_copied, value))
    return np.array(value)


def _stacked(seen: Sequence[Any]) -> Nested:
    first = seen[0]
    if isinstance(first, Mapping):
        return {key: _stacked([each[key] for each in seen]) for key in first}
    if isinstance(first, tuple):
        return tuple(_stacked([each[part] for each in seen]) for part in range(len(first)))
    return np.stack(seen)
