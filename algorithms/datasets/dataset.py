"""Dataset: episodes by number, read when they are asked for, and the shard of them that one process reads."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from logging import getLogger
from typing import Generic, Protocol, TypeVar

import numpy as np

from surreal.algorithms.datasets.episode import About, DamagedError, Episode

log = getLogger(__name__)
Seen = TypeVar("Seen")


class Dataset(Protocol):
    """Episodes that are read one after another. Not for several threads."""

    @property
    def place(self) -> str:
        """Return file, folder or URL, for errors."""

    @property
    def about(self) -> About:
        """Return facts that the files tell."""

    def lengths(self, shard: int, shards: int) -> list[int] | None:
        """Return the steps of each episode of shard `shard` of `shards`; None where only reading tells."""

    def episodes(self, shard: int, shards: int, rng: np.random.Generator) -> "Iterator[Callable[[], Episode]]":
        """Yield how to read each episode of shard `shard` of `shards` once, in an order that `rng` chooses."""

    def close(self) -> None:
        """Close the files."""


class Described:
    """The part of a dataset that says what was opened."""

    def __init__(self, place: str, about: About) -> None:
        """Describe what was opened at `place`."""
        self._place, self._about = place, about

    @property
    def place(self) -> str:
        """Return file, folder or URL, for errors."""
        return self._place

    @property
    def about(self) -> About:
        """Return facts that the files tell."""
        return self._about


class Numbered(Described, ABC):
    """Dataset whose episodes can be read in any order."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of episodes."""

    @abstractmethod
    def __getitem__(self, number: int) -> Episode:
        """Return an episode. Raises DamagedError for one that makes no sense."""

    @abstractmethod
    def length(self, number: int) -> int:
        """Return the steps of an episode, as the file says them without its arrays being read."""

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def lengths(self, shard: int, shards: int) -> list[int] | None:
        """See Dataset."""
        return [self.length(number) for number in range(shard, len(self), shards)]

    def episodes(self, shard: int, shards: int, rng: np.random.Generator) -> Iterator[Callable[[], Episode]]:
        """See Dataset: every `shards`-th episode, in random order."""
        own = np.arange(shard, len(self), shards)
        rng.shuffle(own)
        for number in own.tolist():
            yield partial(self.__getitem__, number)


class Reading(Generic[Seen]):
    """Reading of one shard, pass after pass; damaged episodes are refused or left out."""

    def __init__(
        self,
        dataset: Dataset,
        part: tuple[int, int],
        rng: np.random.Generator,
        see: Callable[[Episode], Seen],
        skip_damaged: bool = False,
    ) -> None:
        """Read shard `part[0]` of `part[1]`; `see` makes of an episode what is wanted, or raises DamagedError."""
        self._dataset, self._part, self._rng, self._see, self._skips = dataset, part, rng, see, skip_damaged
        self.passes = self.skipped = 0
        """Whole passes over the shard, and damaged episodes that were left out in the first."""

    def one_pass(self) -> Iterator[Seen]:
        """Yield each episode of the shard once.

        Raises DamagedError for the first damaged one, unless they are skipped, and where the shard holds none.
        """
        found = 0
        for read in self._dataset.episodes(*self._part, self._rng):
            try:
                seen = self._see(read())
            except DamagedError as error:
                if not self._skips:
                    raise
                if not self.passes:
                    self.skipped += 1
                    log.warning("skipped: %s", error)
                continue
            found += 1
            yield seen
        self.passes += 1
        if not found:
            shard, shards = self._part
            lacking = "has no episode. Lower roles.dataset.replicas."
            if self.skipped:
                lacking = f"has damaged episodes alone, {self.skipped} of them. Record it anew."
            raise DamagedError(f"{self._dataset.place}: shard {shard} of {shards} {lacking}")
