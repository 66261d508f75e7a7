"""Reading D4RL's files and those of its shape: all steps one after another, with flags where episodes end.

Step t has observations[t], actions[t], rewards[t], terminals[t] and timeouts[t]. The observation after the last step of
an episode is in the file only where `next_observations` is. Without it the last step is left out where the episode was
cut, since it is of no use, and its observation repeated where it was terminal, since its value is zero.
"""

from typing import Any

import numpy as np

from surreal.algorithms.datasets.dataset import Numbered
from surreal.algorithms.datasets.episode import About, DamagedError, Episode
from surreal.algorithms.datasets.hdf5 import Hdf5File
from surreal.algorithms.types import Array, Int

NEEDED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")
ID = "env_id"
BLOCK = 65_536
"""Steps that are looked at together."""


class D4rlDataset(Numbered):
    """One HDF5 file in D4RL's layout."""

    def __init__(self, opened: Hdf5File) -> None:
        """Take over the file. Raises DamagedError where keys are missing, and where arrays do not belong together."""
        self._opened, place, file = opened, opened.place, opened.file
        found = {name: opened.dataset(file, name, place) for name in (*NEEDED, *OPTIONAL) if name in (*NEEDED, *file)}
        lengths = {name: len(each) for name, each in found.items()}
        if len(set(lengths.values())) > 1:
            raise DamagedError(f"{place}: its arrays differ in length: {lengths}. Copy it anew.")
        if not lengths["rewards"]:
            raise DamagedError(f"{place}: it has no steps. Copy it anew.")
        seen, after = found["observations"], found.get("next_observations")
        if after is not None and after.shape != seen.shape:
            raise DamagedError(
                f"{place}: next_observations are {after.shape}, and observations {seen.shape}. Copy it anew."
            )
        self._observations, self._actions = opened.lazy(seen), opened.lazy(found["actions"])
        self._following = None if after is None else opened.lazy(after)
        self._rewards = opened.column(file, "rewards", place)
        self._terminal = opened.flags(file, "terminals", place)
        self._cut = opened.flags(file, "timeouts", place) if "timeouts" in found else None
        self._spans = self._find_spans()
        env = file.attrs.get(ID)
        super().__init__(place, About("d4rl", len(self._spans), len(self._rewards), None if env is None else str(env)))

    def _find_spans(self) -> Int:
        """Return the first and the last step [episodes, 2] of each episode that has a step of use."""
        done = self._terminal.copy()
        if self._cut is not None:
            done |= self._cut
        elif self._following is not None:
            done |= self._breaks(self._following)
        if len(done):
            done[-1] = True
        last = np.flatnonzero(done)
        first = np.concatenate([[0], last[:-1] + 1])
        useful = (last > first) | self._terminal[last] | (self._following is not None)
        return np.stack([first, last], axis=1)[useful]

    def _breaks(self, following: Any) -> Array:
        """Return the steps after which the next row does not go on: ends of episodes where the file has no timeouts."""
        count = len(self._rewards)
        breaks = np.zeros(count, dtype=np.bool_)
        for start in range(0, count - 1, BLOCK):
            end = min(start + BLOCK, count - 1)
            differ = following[start:end] != self._observations[start + 1 : end + 1]
            breaks[start:end] = differ.reshape(end - start, -1).any(axis=1)
        return breaks

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self._spans)

    def length(self, number: int) -> int:
        """See Numbered."""
        first, last = self._spans[number].tolist()
        return int(last - first + (self._following is not None or bool(self._terminal[last])))

    def __getitem__(self, number: int) -> Episode:
        """See Numbered."""
        first, last = self._spans[number].tolist()
        place = f"{self._opened.place}: episode {number}"
        terminated, end = bool(self._terminal[last]), last + 1
        if self._following is None and not terminated:
            end = last
        with self._opened.damage(place):
            after = (self._observations if self._following is None else self._following)[last : last + 1]
            observations = np.concatenate([self._observations[first:end], after])
            actions = np.asarray(self._actions[first:end])
        rewards = np.asarray(self._rewards[first:end], dtype=np.float64)
        return Episode(place, observations, actions, rewards, terminated, not terminated).check()

    def close(self) -> None:
        """See Numbered."""
        self._opened.close()
