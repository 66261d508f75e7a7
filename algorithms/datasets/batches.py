"""Batches of transitions straight from a dataset, as a stream: a window of episodes is shuffled, then the next one."""

from collections.abc import Generator, Iterator

import numpy as np

from surreal.algorithms.datasets.dataset import Dataset, Reading
from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.types import Array, Int

WINDOW = 65_536
"""Steps of the window: the memory that reading takes, and the distance over which transitions are mixed."""


def batches(
    dataset: Dataset, size: int, rng: np.random.Generator, window: int = WINDOW, shard: int = 0, shards: int = 1
) -> Iterator[dict[str, Array]]:
    """Yield batches of `size` transitions of one pass, each transition once; the last few that fill no batch are left.

    Arrays are of the dataset's own types: observations, actions, rewards, next_observations, terminated. Observations
    have to be plain arrays.
    """
    held: list[Episode] = []
    steps, rest = 0, None  # type: int, dict[str, Array] | None
    for episode in Reading(dataset, (shard, shards), rng, _same).one_pass():
        held.append(episode)
        steps += len(episode)
        if steps >= window:
            rest = yield from _of_window(held, size, rng, rest)
            held, steps = [], 0
    if held or rest is not None:
        yield from _of_window(held, size, rng, rest)


def _same(episode: Episode) -> Episode:
    return episode


def _of_window(
    held: list[Episode], size: int, rng: np.random.Generator, rest: dict[str, Array] | None
) -> Generator[dict[str, Array], None, dict[str, Array] | None]:
    """Yield whole batches of a window. Returns the transitions that are left, for the next one."""
    table = _joined(held)
    order = rng.permutation(len(table["rewards"])) if held else np.arange(0)
    start = 0
    if rest is not None:
        start = min(size - len(rest["rewards"]), len(order))
        first = _taken(table, order[:start]) if held else {}
        rest = {name: np.concatenate([array, first[name]]) for name, array in rest.items()} if held else rest
        if len(rest["rewards"]) < size:
            return rest
        yield rest
    for begin in range(start, len(order) - size + 1, size):
        yield _taken(table, order[begin : begin + size])
    left = order[start + (len(order) - start) // size * size :]
    return _taken(table, left) if len(left) else None


def _joined(held: list[Episode]) -> dict[str, Array]:
    """Return the arrays of a window: all observations one after another, and the row of each step's."""
    if not held:
        return {"rewards": np.zeros(0)}
    lengths = np.array([len(episode) for episode in held])
    terminated = np.zeros(int(lengths.sum()), dtype=np.bool_)
    terminated[np.cumsum(lengths) - 1] = [episode.terminated for episode in held]
    rows = np.arange(len(terminated)) + np.repeat(np.arange(len(held)), lengths)
    return {
        "all": np.concatenate([episode.observations for episode in held]),
        "rows": rows,
        "actions": np.concatenate([episode.actions for episode in held]),
        "rewards": np.concatenate([episode.rewards for episode in held]),
        "terminated": terminated,
    }


def _taken(table: dict[str, Array], steps: Int) -> dict[str, Array]:
    rows = table["rows"][steps]
    return {
        "observations": table["all"].take(rows, axis=0),
        "next_observations": table["all"].take(rows + 1, axis=0),
        **{name: table[name].take(steps, axis=0) for name in ("actions", "rewards", "terminated")},
    }
