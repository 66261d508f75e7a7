"""The learner's client and real shards: proportions, weights, priorities, both ways of travel, and what is refused."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.replay import client as client_module
from surreal.algorithms.replay.answers import ITEM_BITS, LIFE_BITS, Answers, shard_of
from surreal.algorithms.replay.batches import ReplayBatch
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.client import ReplayClient
from surreal.algorithms.replay.config import ReplayConfig, ReplaySettings
from surreal.algorithms.replay.rate_limiter import RateLimiter
from surreal.algorithms.replay.role import Shard
from surreal.algorithms.replay.shared_memory import SharedMemory
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, Stopping
from tests.algorithms.fabric import wait_for
from tests.algorithms.replay.fragments import fragment, message
from tests.algorithms.replay.shards import ReplayRun
from tests.protocol.joined import Joined

Fill = Callable[[int, list[dict[str, Array]]], None]


class Site:
    """Shards in threads of the test, and a client."""

    def __init__(self, shards: list[Shard], client: ReplayClient) -> None:
        self.shards, self.client = shards, client

    def sample(self) -> ReplayBatch:
        batch = self.client.sample(timeout=60)
        assert batch is not None
        return batch


@contextmanager
def site(fragments: list[list[dict[str, Array]]], batch: int = 64, **replay: Any) -> Iterator[Site]:
    """As many shards as lists of fragments, which they hold."""
    config = {"batch": batch, "replay": {"min_size": 1, "snapshot_seconds": 0.0, **replay}}
    with tempfile.TemporaryDirectory(prefix="s") as folder, ExitStack() as stack:
        run = ReplayRun(Path(folder), config, shards=len(fragments))
        learner = stack.enter_context(Joined(run.wiring("learner", 0, 1)))
        shards = []
        for index, own in enumerate(fragments):
            process = stack.enter_context(Joined(run.wiring("replay", index, 1)))
            shards.append(shard := Shard(process))
            for seq, arrays in enumerate(own):
                shard._insert(message(arrays, seq))
            thread = threading.Thread(target=serve, args=(process, shard))
            thread.start()
            stack.callback(thread.join)
            stack.callback(process.session.stop, "the test is over")
        client = ReplayClient(learner, ReplaySettings.of(config, len(fragments)))
        stack.callback(client.close)
        yield Site(shards, client)


def serve(process: Joined, shard: Shard) -> None:
    with suppress(Stopping):
        while not process.should_stop:
            shard.turn()


def some(count: int, steps: int = 20, base: int = 0) -> list[dict[str, Array]]:
    return [fragment(np.random.default_rng(i), steps, ends=0.0, base=base + 100 * i) for i in range(count)]


@pytest.fixture(params=["shared memory", "messages"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way by which items travel."""
    if request.param == "messages":
        monkeypatch.setattr(SharedMemory, "make", classmethod(lambda cls, nbytes: None))
    return str(request.param)


def test_batches_hold_what_the_shards_hold_in_proportion(way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with site([some(5), some(15, base=10_000)]) as made:
        shares = []
        for _ in range(300):
            batch = made.sample()
            arrays = batch.arrays
            shares.append((shard_of(batch.ids) == 1).mean())
            assert ((arrays["observations"][:, 0] >= 10_000) == (shard_of(batch.ids) == 1)).all()
            assert (arrays["next_observations"] == arrays["observations"] + 1).all()
            assert (batch.weights == 1).all()
            assert set(arrays) == {"observations", "next_observations", "actions", "rewards", "discounts"}
            arrays["observations"] += 1  # they may be changed
        assert np.mean(shares) == pytest.approx(0.75, abs=0.01)
        assert made.client.steps == 400
        assert made.client.metrics()["shard_balance"] == pytest.approx(1 / 3)
        assert batch.age == pytest.approx(200, abs=60)
    assert ("items for learner/0 travel through shared memory" in caplog.text) == (way == "shared memory")


def test_sequences_travel_whole(way: str) -> None:
    own = some(4, steps=12)
    for arrays in own:
        arrays["states"] = arrays["observations"][:-1] * 2
    with site([own], sequence_length=5, sequence_overlap=2) as made:
        arrays = made.sample().arrays
        assert arrays["observations"].shape == (64, 6, 3)
        assert (np.diff(arrays["observations"], axis=1) == 1).all()
        assert (arrays["states"] == 2 * arrays["observations"][:, 0]).all()
        assert arrays["mask"].all()


def test_priorities_come_back_and_weights_undo_them(way: str) -> None:
    with site([some(5), some(15, base=10_000)], priority_exponent=1.0, importance_exponent=1.0) as made:
        batch = made.sample()
        for _ in range(60):
            made.client.update_priorities(batch.ids, 1 + batch.arrays["observations"][:, 0])
            batch = made.sample()
        # with beta 1 the weights are the inverse priorities
        priorities = made.shards[0].buffer.sampler.priorities(0, 100)
        own = shard_of(batch.ids) == 0
        drawn = priorities[(batch.ids & (2**ITEM_BITS - 1))[own]]
        for seen in (made.sample() for _ in range(20)):
            inverse = seen.weights[:, None] * (1 + seen.arrays["observations"][:, :1])
            later = shard_of(seen.ids) == 1
            assert later.mean() > 0.9  # their errors are a hundred times as high
        assert len(drawn) == own.sum()
        assert np.median(inverse[later]) > 0
        assert made.shards[1].buffer.sampler.highest > 10_000


def test_weights_are_the_inverse_probabilities_over_all_shards() -> None:
    with site([some(2), some(3, base=10_000)], priority_exponent=0.5, importance_exponent=0.4) as made:
        rng, known = np.random.default_rng(0), []
        for shard in made.shards:
            errors = rng.random(shard.buffer.items) * 9
            shard.buffer.sampler.update(np.arange(shard.buffer.items), errors)
            known.append((errors + 1e-6) ** 0.5)
        for _ in range(10):  # what was asked before is used up
            batch = made.sample()
        shards, items = shard_of(batch.ids), batch.ids & (2**ITEM_BITS - 1)
        drawn = np.array([known[s][i] for s, i in zip(shards, items, strict=True)])
        weights = (drawn / sum(each.sum() for each in known) * 100) ** -0.4
        assert batch.weights == pytest.approx(weights / weights.max(), rel=1e-4)


def test_errors_that_are_no_numbers_are_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with site([some(3)], priority_exponent=1.0) as made:
        batch = made.sample()
        errors = np.ones(64, np.float32)
        errors[:3] = [np.nan, -1.0, np.inf]
        made.client.update_priorities(batch.ids, errors)
        made.client.update_priorities(batch.ids, errors)
        assert made.client.metrics()["priorities_dropped"] == 6
    assert caplog.text.count("3 of 64 priorities are NaN, infinite or negative") == 1


def test_a_wait_for_the_first_steps_can_be_cut_short_and_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "SAY_SECONDS", 0.1)
    said: list[str] = []
    with site([[]]) as made:
        assert made.client.sample(timeout=2.0, waiting=lambda names, seconds: said.append(names)) is None
        assert set(said) == {"replay/0"}
        assert made.client.metrics()["waiting_for_samples"] > 0.9


def test_a_batch_that_has_arrived_is_not_waited_for() -> None:
    with site([some(3)]) as made:
        made.sample()
        wait_for(lambda: all(pending.done() for each in made.client._open for _, pending in each.asked))
        made.client.metrics()
        made.sample()
        row = made.client.metrics()
        assert row["waiting_for_samples"] == 0
        assert row["taking_samples"] > 0


def test_shards_with_arrays_of_different_types_end_the_learner_in_words() -> None:
    wide = [fragment(np.random.default_rng(0), 20, ends=0.0, width=9)]
    with site([some(1), wide]) as made, pytest.raises(Fatal, match=r"replay/1: .*\[9\].*"):
        for _ in range(50):
            made.sample()


def test_fragments_of_another_schema_are_refused_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with site([some(2)]) as made:
        shard = made.shards[0]
        shard._insert(message(fragment(np.random.default_rng(0), 20, width=9), 7, sender="actor/5"))
        assert shard.refused == 1
        assert shard.buffer.items == 40
    assert "refused fragment 7 of actor/5: 'observations' is float32 [9]" in caplog.text


class Asked:
    """A request without a socket."""

    def __init__(self, **meta: Any) -> None:
        self.sender, self.meta = "learner/0", meta
        self.arrays: dict[str, Array] = {}
        self.said: dict[str, Any] = {}
        self.failed = ""

    def reply(self, arrays: dict[str, Array], meta: dict[str, Any]) -> None:
        self.arrays, self.said = arrays, meta

    def fail(self, reason: str) -> None:
        self.failed = reason


def answers(**replay: Any) -> Answers:
    settings = ReplaySettings(ReplayConfig(min_size=1, **replay))
    buffer, limiter = ReplayBuffer(settings, np.random.default_rng(0)), RateLimiter(settings)
    buffer.insert(message(some(1)[0]))
    limiter.inserted(20, 1)
    return Answers(buffer, limiter, 3, 7)


def ask(made: Answers, **meta: Any) -> Asked:
    request = Asked(**meta)
    made.give(request, patient=False)  # type: ignore[arg-type]
    return request


def test_a_question_that_is_asked_again_never_writes_over_what_may_be_read() -> None:
    made, memory = answers(), SharedMemory.make(100_000)
    assert memory is not None
    place = [1, 64, 0, 8]
    first = ask(made, count=8, memory=memory.offer, place=place)
    assert set(first.arrays) == {"ids", "probabilities"}
    before = bytes(memory.mapped)
    again = ask(made, count=8, memory=memory.offer, place=place)
    assert "observations" in again.arrays
    assert bytes(memory.mapped) == before
    assert "observations" not in ask(made, count=8, memory=memory.offer, place=[2, 64, 0, 8]).arrays
    memory.close()


@pytest.mark.parametrize(
    "place",
    [[5, 64, 1, 8], [5, 0, 0, 8], [5, 64, -1, 8], [5, 10**9, 0, 8], [5, 64, 0, 10**9], [5, 64], "x", [5, 64, 0.0, 8]],
)
def test_a_place_beyond_the_memory_is_answered_in_messages(place: Any) -> None:
    made, memory = answers(), SharedMemory.make(100_000)
    assert memory is not None
    assert "observations" in ask(made, count=8, memory=memory.offer, place=place).arrays
    memory.close()


def test_memory_is_opened_only_where_it_is_what_it_says(tmp_path: Path) -> None:
    memory = SharedMemory.make(1000)
    assert memory is not None
    pid, number, secret, size = memory.offer
    assert SharedMemory.attach(memory.offer) is not None
    with (tmp_path / "file").open("w+b") as other:
        other.write(secret + bytes(size - 16))
        other.flush()
        wrong: list[Any] = [
            None,
            [pid, number, secret],
            [pid, number, bytes(16), size],
            [pid, number, secret, size + 1],
            [pid, number + 500, secret, size],
            [2**31, number, secret, size],
            [pid, other.fileno(), secret, size],
            [pid, f"../{os.getpid()}", secret, size],
        ]
        assert [SharedMemory.attach(offer) for offer in wrong] == [None] * len(wrong)
    memory.close()
    assert SharedMemory.attach(memory.offer) is None


@pytest.mark.parametrize("count", [-1, 2**30, 1.5, "all", True])
def test_a_count_that_is_none_fails_in_words(count: Any) -> None:
    assert "is no number of items" in ask(answers(), count=count).failed


def test_another_layout_than_was_asked_for_fails_in_words() -> None:
    assert "and others were asked for" in ask(answers(), count=4, layout=1).failed


def test_priorities_that_make_no_sense_are_counted_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    made = answers(priority_exponent=1.0, capacity=25)
    life = (3 << LIFE_BITS | 7) << ITEM_BITS
    sampler = made._buffer.sampler

    def update(ids: Any, magnitudes: Any) -> None:
        made.update(message({"ids": np.asarray(ids, np.int64), "magnitudes": np.asarray(magnitudes)}))

    update([life, life + 1, life + 2], [np.nan, -1.0, np.inf])
    assert made.refused == 3
    assert (sampler.priorities(0, 20) == 1).all()
    update([life - (1 << ITEM_BITS), life + 20], [5.0, 5.0])  # an earlier life's, one that is not there yet
    assert made.refused == 5
    update([life, life + 1], [[5.0, 5.0]])
    made.update(message({}))
    assert made.refused == 7
    assert (sampler.priorities(0, 20) == 1).all()
    update([life + 2], [5.0])
    assert sampler.priorities(0, 20)[2] == pytest.approx(5.0, abs=1e-5)
    made._buffer.insert(message(some(1)[0], 1))
    update([life + 2], [9.0])  # overwritten meanwhile
    assert made.refused == 8
    assert caplog.text.count("they are dropped and counted") == 1
