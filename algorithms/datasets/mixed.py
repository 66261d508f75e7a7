"""Several datasets read as one, and how many rows of replay a shard of them takes."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from surreal.algorithms.datasets.dataset import Dataset
from surreal.algorithms.datasets.episode import About, Episode


class Mixed:
    """Datasets whose episodes come in turn, by chance, in proportion to how many each has."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        """Take over `datasets`, of one environment."""
        self._datasets = datasets
        parts = [each.about for each in datasets]
        first = parts[0]
        count, steps = sum(each.episodes for each in parts), sum(each.steps for each in parts)
        self._about = About(first.format, count, steps, first.env_id, first.observation, first.action)

    @property
    def place(self) -> str:
        """Return all places."""
        return ", ".join(each.place for each in self._datasets)

    @property
    def about(self) -> About:
        """Return sums, and the rest of the first."""
        return self._about

    def lengths(self, shard: int, shards: int) -> list[int] | None:
        """See Dataset."""
        parts = [each.lengths(shard, shards) for each in self._datasets]
        return None if None in parts else [count for part in parts for count in part or ()]

    def episodes(self, shard: int, shards: int, rng: np.random.Generator) -> Iterator[Callable[[], Episode]]:
        """See Dataset."""
        open_ = [each.episodes(shard, shards, rng) for each in self._datasets]
        sizes = [float(max(1, each.about.episodes)) for each in self._datasets]
        while open_:
            chosen = int(rng.choice(len(open_), p=np.array(sizes) / sum(sizes)))
            read = next(open_[chosen], None)
            if read is None:
                del open_[chosen], sizes[chosen]
            else:
                sizes[chosen] = max(1.0, sizes[chosen] - 1)
                yield read

    def close(self) -> None:
        """Close all."""
        for each in self._datasets:
            each.close()
