"""What the master takes in, and what it leaves out and counts; over real sockets."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.es import collector as collector_module
from surreal.algorithms.es.batched_policy import Layout
from surreal.algorithms.es.collector import Collector, Results
from surreal.algorithms.es.config import ARSConfig, ESConfig
from surreal.algorithms.es.noise import NoiseTable
from surreal.algorithms.es.state import State
from surreal.algorithms.es.weights import Orders, Weights
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node

ORDERS = Orders(pairs=4, chunk=2, fixed=False, sigma=0.1, cap=10, max_staleness=1, noise=0)
WEIGHTS = Weights((3, 7), np.zeros(2, np.float32), Standardizer(np.zeros(2), np.ones(2)), ORDERS, 0, False)
LAYOUT = Layout(Spaces.flat(4, 2, True), (), True)
LAYOUT_LINEAR = Layout(Spaces.flat(4, 2, True), (), False)


class Ends:
    """Both ends of the stream `results`."""

    def __init__(self, folder: str) -> None:
        self._nodes = Node("worker/0", 1), Node("master/0", 3)
        address = f"ipc://{folder}/r.ipc"
        self._receiver = StreamReceiver(self._nodes[1], address, 64)
        self._sender = StreamSender(self._nodes[0], address, 64)
        self.collector = Collector(self._receiver)

    def send(self, chunk: Any, returns: Any, version: tuple[int, int] = (3, 7), **arrays: Array) -> None:
        """Results of one chunk; every episode took five steps."""
        values = np.asarray(returns, dtype=np.float64)
        steps = np.full(values.shape, 5, dtype=np.uint32)
        self.send_as_it_is({"returns": values, "steps": steps, **arrays}, chunk, version)

    def send_as_it_is(self, arrays: dict[str, Array], chunk: Any, version: tuple[int, int] = (3, 7)) -> None:
        """Arrays that may be no results."""
        self._sender.send(arrays, {"chunk": chunk}, version)

    def close(self) -> None:
        self._sender.close()
        self._receiver.close()
        for node in self._nodes:
            node.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    with tempfile.TemporaryDirectory(prefix="s") as folder:
        both = Ends(folder)
        yield both
        both.close()


def test_results_are_in_the_order_of_their_numbers_whatever_order_they_came_in(ends: Ends) -> None:
    ends.send(1, [[5, 6], [7, 8]])
    ends.send(0, [[1, 2], [3, 4]])
    results = ends.collector.collect(WEIGHTS)
    assert results.pairs.tolist() == [0, 1, 2, 3]
    assert results.returns.ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_late_repeated_and_orphaned_results_are_counted_and_only_what_is_in_time_is_used(ends: Ends) -> None:
    ends.send(0, [[1, 2], [3, 4]], version=(3, 5))
    ends.send(0, [[1, 2], [3, 4]], version=(2, 7))
    ends.send(9, [[1, 2], [3, 4]], version=(3, 6))
    ends.send(9, [[1, 2], [3, 4]], version=(3, 6))
    ends.send(0, [[1, 2], [3, 4]])
    results = ends.collector.collect(WEIGHTS)
    assert results.generations.tolist() == [6, 6, 7, 7]
    counters = ends.collector.counters
    assert (counters.late, counters.by_restart, counters.repeated) == (4, 4, 4)


def test_a_chunk_used_late_is_not_used_again_in_the_next_generation(ends: Ends) -> None:
    for chunk in (0, 1):
        ends.send(chunk, [[1, 2], [3, 4]])
    ends.collector.collect(WEIGHTS)
    ends.send(0, [[1, 2], [3, 4]])
    for chunk in (0, 1):
        ends.send(chunk, [[1, 2], [3, 4]], version=(3, 8))
    assert ends.collector.collect(replace(WEIGHTS, version=(3, 8))).generations.tolist() == [8] * 4
    assert ends.collector.counters.repeated == 4


def test_pairs_with_a_return_that_is_not_finite_are_dropped_counted_and_said(
    ends: Ends, caplog: pytest.LogCaptureFixture
) -> None:
    ends.send(0, [[1, np.nan], [3, 4]])
    ends.send(1, [[5, 6], [np.inf, 8]])
    results = ends.collector.collect(WEIGHTS)
    assert results.pairs.tolist() == [1, 2]
    assert (results.broken, ends.collector.counters.broken) == (2, 4)
    assert "2 of 4 pairs returned NaN or infinity and were dropped" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"returns": np.zeros(3)},
        {"steps": np.zeros((2, 2))},
        {"returns": np.zeros((3, 2)), "steps": np.zeros((3, 2), np.uint32)},
        {"sums": np.zeros(5, np.int32)},
        {"sums": np.zeros(4, np.int64)},
    ],
)
def test_what_is_no_result_is_left_out(ends: Ends, wrong: dict[str, Array]) -> None:
    ends.send_as_it_is({"returns": np.zeros((2, 2)), "steps": np.zeros((2, 2), np.uint32), **wrong}, chunk=0)
    ends.send("zero", [[1, 2], [3, 4]])
    ends.send(-1, [[1, 2], [3, 4]])
    for chunk in (0, 1):
        ends.send(chunk, [[1, 2], [3, 4]], sums=np.arange(5, dtype=np.int64))
    assert ends.collector.collect(WEIGHTS).sums[7].tolist() == [0, 2, 4, 6, 8]
    assert ends.collector.counters.malformed == 3


def results_of(returns: Any, generation: int = 0, length: int = 5) -> Results:
    values = np.asarray(returns, dtype=np.float64)
    n = len(values)
    return Results(np.full(n, generation), np.arange(n), values, np.full((n, 2), length), {}, 0)


def test_a_generation_of_nothing_but_nan_ends_the_run_with_the_reason() -> None:
    state = State(LAYOUT, ESConfig(), seed=1, workers=1)
    nothing = results_of(np.zeros((0, 2)))._replace(broken=32)
    with pytest.raises(Fatal, match="all 32 perturbations returned NaN or infinity"):
        state.learn(nothing)


def test_ars_moves_by_the_papers_step_and_takes_the_survival_bonus_off() -> None:
    config = ARSConfig(directions=2, top=2, survival_bonus=1.0, learning_rate=0.02)
    state, noise = State(LAYOUT_LINEAR, config, seed=1, workers=1), NoiseTable(1, LAYOUT_LINEAR.size)
    returns = np.array([[5.0, 3.0], [2.0, 6.0]])
    results = results_of(returns)._replace(steps=np.array([[5, 3], [2, 5]]))  # survival alone, but for the last
    state.learn(results)
    offset = noise.offsets(0, np.array([1]))[0]
    expected = 0.02 / (2 * np.std([0, 0, 0, 1])) * (0.0 - 1.0) * noise.at(int(offset))
    np.testing.assert_allclose(state.parameters, expected, rtol=1e-5)


@pytest.mark.parametrize(("top", "used"), [("half", 2), (None, 4)])
def test_ars_uses_a_share_of_an_open_generation_that_has_more_than_directions(top: Any, used: int) -> None:
    returns = np.array([[5.0, 3.0], [2.0, 6.0], [1.0, 0.0], [0.0, 1.0]])
    moved = []
    for config in (ARSConfig(directions=3, top=top), ARSConfig(directions=4, top=used)):
        state = State(LAYOUT_LINEAR, config, seed=1, workers=1)
        state.learn(results_of(returns))
        moved.append(state.parameters)
    np.testing.assert_array_equal(moved[0], moved[1])


def test_a_master_without_workers_says_what_it_waits_for_every_second(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector_module, "CALL_EVERY", 0.0)
    told: list[tuple[str, float]] = []

    def tell(what: str, seconds: float) -> None:
        told.append((what, seconds))
        for chunk in range(2):
            ends.send(chunk, [[1, 2], [3, 4]])

    ends.collector.collect(WEIGHTS, tell)
    assert told[0][0] == "results of workers: 4 of 4 pairs" and told[0][1] > 0


def test_an_update_that_is_not_finite_is_skipped_and_counted() -> None:
    state = State(LAYOUT, ESConfig(optimizer="sgd", learning_rate=1e38), seed=1, workers=1)
    before = state.parameters.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(20):
            state.learn(results_of([[1, 2], [3, 4]], state.updates))
    assert state.skipped > 0
    assert np.isfinite(state.parameters).all()
    assert before.shape == state.parameters.shape


@pytest.mark.parametrize("config", [ESConfig(), ESConfig(optimizer="sgd"), ARSConfig(top=1)])
def test_a_state_restored_from_its_checkpoint_goes_on_the_same(config: Any) -> None:
    one, other = (State(LAYOUT, config, seed=1, workers=1) for _ in range(2))
    env = make_env("CartPole-v1")
    one.see_reference(env)
    one.learn(results_of([[1, 2], [3, 5]]))
    other.restore(one.checkpoint())
    for state in (one, other):
        state.learn(results_of([[4, 2], [3, 1]], generation=1))
    assert (one.parameters == other.parameters).all()
    assert (one.standardizer().shift == other.standardizer().shift).all()
    assert one.checkpoint().state == other.checkpoint().state
