"""One update of several learners: the same numbers as one learner's with all their fragments."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.group.exchange import Waiting, in_silence
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import MemoryConfig, NetworkConfig
from surreal.algorithms.networks import Layout
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.trajectories import Share, Trajectories, trajectories
from surreal.algorithms.types import Array
from tests.algorithms.ppo.samples import as_fragment, ppo, random_fragment, random_shape

COPIES = 3


class Table(NamedTuple):
    """What the learners of one test lay down for each other."""

    arrays: list[Mapping[str, Array]]
    laid: threading.Barrier
    taken: threading.Barrier


class Seat:
    """One of several learners that are threads of this process."""

    def __init__(self, table: Table, rank: int) -> None:
        self._table, self.rank, self.size = table, rank, len(table.arrays)

    def gather(self, arrays: Mapping[str, Array], waiting: Waiting = in_silence) -> list[Mapping[str, Array]]:
        self._table.arrays[self.rank] = arrays
        self._table.laid.wait(120)
        found = list(self._table.arrays)
        self._table.taken.wait(120)
        return found

    def total(self, vector: Array) -> Array:
        parts = [each["vector"] for each in self.gather({"vector": vector.copy()})]
        return np.asarray(sum(parts[1:], parts[0]))


def seats(size: int) -> list[Seat]:
    table = Table([{} for _ in range(size)], threading.Barrier(size), threading.Barrier(size))
    return [Seat(table, rank) for rank in range(size)]


def at_once(functions: list[Callable[[], Any]]) -> list[Any]:
    """Call functions in threads; return their results."""
    found: list[Any] = [None] * len(functions)

    def call(number: int) -> None:
        found[number] = functions[number]()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def joined(seeds: list[int], layout: Layout, share: Share | None = None) -> Trajectories:
    fragments = []
    for seed in seeds:
        arrays = random_fragment(seed, copies=COPIES, discrete=layout.spaces.discrete)
        if layout.state_size:
            arrays["states"] = np.random.default_rng(seed).normal(size=(4, COPIES, layout.state_size)).astype("f4")
        fragments.append(as_fragment(arrays))
    data = trajectories(fragments, Standardizer.of(RunningMoments(5)), None)
    return replace(data, share=share)


def of_one(update: int, layout: Layout) -> Trajectories:
    return joined([3 * update, 3 * update + 1, 3 * update + 2], layout)


def of_each(update: int, layout: Layout) -> list[Trajectories]:
    """The same fragments for two learners: the first and the last one for learner 0."""
    columns = np.arange(3 * COPIES).reshape(3, COPIES)
    places = (columns[[0, 2]].reshape(-1), columns[1])
    first = joined([3 * update, 3 * update + 2], layout, Share(0, places))
    return [first, joined([3 * update + 1], layout, Share(1, places))]


def compare(layout: Layout, config: PPOConfig, updates: int) -> None:
    """Check that two learners have the parameters and the metrics of one after each of some updates."""
    alone, *pair = Updater(layout, config, 3), *(Updater(layout, config, 3, seat) for seat in seats(2))
    for update in range(updates):
        expected = alone.update(of_one(update, layout), 0.1)
        parts = of_each(update, layout)
        found = at_once([partial(each.update, part, 0.1) for each, part in zip(pair, parts, strict=True)])
        assert found[0] == found[1]
        assert found[0] == pytest.approx(expected, abs=1e-4)
    assert (pair[0].parameters() == pair[1].parameters()).all()
    assert np.abs(pair[0].parameters() - alone.parameters()).max() < 1e-5


@pytest.mark.parametrize("discrete", [True, False], ids=["choices", "numbers"])
@pytest.mark.parametrize(("gradients", "updates"), [("analytic", 20), ("autograd", 3)])
def test_updates_of_two_learners_are_those_of_one(gradients: str, updates: int, discrete: bool) -> None:
    config = ppo(device="cpu", gradients=gradients, minibatch=20, epochs=2, learning_rate=1e-3)
    compare(random_shape(discrete), config, updates)


def test_a_minibatch_may_lie_with_one_learner_alone() -> None:
    compare(random_shape(True), PPOConfig(minibatch=1, epochs=1, normalize_advantages=False), 2)


def test_learners_share_the_sequences_of_a_network_with_memory() -> None:
    memory = NetworkConfig(memory=MemoryConfig(kind="lstm", size=4))
    config = PPOConfig(
        device="cpu", network=memory, fragment_steps=16, sequence_steps=4, minibatch=12, epochs=2, learning_rate=1e-3
    )
    compare(make_model(memory, Spaces.flat(5, 3, False), [8]), config, 3)


def test_the_epochs_end_by_the_divergence_of_all_rows() -> None:
    config = PPOConfig(minibatch=20, epochs=5, target_kl=1e-3, learning_rate=3e-3)
    compare(random_shape(True), config, 2)
