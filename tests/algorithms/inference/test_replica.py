"""A replica over real sockets: repetitions, refusals, weights that are waited for, batches and metrics."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.inference.role import Gauges
from surreal.protocol.errors import Fatal, Refused
from surreal.protocol.service.replica import Pending
from surreal.protocol.service.rows import CallError
from surreal.protocol.worker.process import Process
from tests.algorithms.fabric import wait_for
from tests.algorithms.impala.samples import impala
from tests.algorithms.inference.central import served

POLE = {"id": "CartPole-v1"}
MEMORY = impala(network={"memory": {"size": 6}})
COPIES = 2


def ask(process: Process, step: int, arrays: dict[str, Any] | None = None, group: int = 0, **meta: Any) -> Pending:
    """One question, as an actor asks it."""
    rows = np.full((COPIES, 4), 0.1 * (step + 1), np.float32)
    asked = {"observations": rows, "first": np.full(COPIES, step == 0), **(arrays or {})}
    return process.clients("inference").shards[0].submit(asked, {"group": group, "step": step, **meta}, 10)


def test_a_step_asked_again_is_answered_as_before_and_memory_has_advanced_once(folder: Path) -> None:
    with served(folder, MEMORY, POLE, 2 * COPIES) as (found, _, _):
        process = found.asking()
        ask(process, 0).result()
        first, again = ask(process, 1).result(), ask(process, 1).result()
        for name, array in first.arrays.items():
            np.testing.assert_array_equal(array, again.arrays[name], name)
        following = ask(process, 2).result()
        assert not following.arrays["fresh"]
        # another actor takes the same steps without a repetition: its memory is the same
        other = found.asking(incarnation=2)
        for step in range(2):
            ask(other, step).result()
        np.testing.assert_array_equal(ask(other, 2).result().arrays["states"], following.arrays["states"])
        assert np.abs(following.arrays["states"]).min(axis=1).max() > 0


def test_two_questions_of_one_step_in_one_batch_advance_memory_once(folder: Path) -> None:
    with served(folder, MEMORY, POLE, 2 * COPIES, publish=False) as (found, _, vector):
        process = found.asking()
        # both wait for weights, and are answered by the same turn
        pending = [ask(process, 0) for _ in range(2)]
        wait_for(lambda: len(found.replica._held) == 2)
        found.publish(vector)
        one, two = (each.result() for each in pending)
        np.testing.assert_array_equal(one.arrays["actions"], two.arrays["actions"])
        assert len(found.replica.sessions) == 1
        ask(process, 1).result()


def test_a_new_incarnation_begins_without_memory_and_the_older_one_is_refused(folder: Path) -> None:
    with served(folder, MEMORY, POLE, 2 * COPIES) as (found, _, _):
        old = found.asking(incarnation=1)
        for step in range(3):
            ask(old, step).result()
        new = found.asking(incarnation=2)
        # as if it went on at the same number, and within an episode
        answer = ask(new, 3).result()
        assert answer.arrays["fresh"]
        assert not answer.arrays["states"].any()
        with pytest.raises((Refused, CallError)):
            ask(old, 3).result()
        assert not ask(new, 4).result().arrays["fresh"]


def test_a_gap_in_the_numbers_begins_without_memory_and_says_so(folder: Path) -> None:
    with served(folder, MEMORY, POLE, 2 * COPIES) as (found, _, _):
        process = found.asking()
        ask(process, 0).result()
        assert ask(process, 7).result().arrays["fresh"]


@pytest.mark.parametrize(
    ("arrays", "meta", "words"),
    [
        ({"first": np.zeros(9, np.bool_)}, {}, "'first' is no array of 1 to 4 flags"),
        ({"first": np.zeros(2, np.int64)}, {}, "'first' is no array"),
        (
            {"observations": np.zeros((2, 5), np.float32)},
            {},
            r"'observations' is float32 \[2, 5\], not float32 \[2, 4\]",
        ),
        ({"observations": np.zeros((2, 4), np.int64)}, {}, r"'observations' is int64"),
        ({"masks": np.ones((2, 3), np.bool_)}, {}, r"'masks' is bool \[2, 3\]"),
        ({}, {"group": "a"}, "'group' and 'step' are no numbers"),
        ({}, {"step": -1}, "'group' and 'step' are no numbers"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_in_words(
    folder: Path, arrays: dict[str, Any], meta: dict[str, Any], words: str
) -> None:
    with served(folder, impala(), POLE, 2 * COPIES) as (found, _, _):
        process = found.asking()
        with pytest.raises(CallError, match=words):
            rows = {"observations": np.zeros((COPIES, 4), np.float32), "first": np.zeros(COPIES, np.bool_), **arrays}
            process.clients("inference").shards[0].call(rows, {"group": 0, "step": 0, **meta})
        ask(process, 0).result()


def test_a_question_waits_for_weights_that_are_new_enough(folder: Path) -> None:
    with served(folder, impala(), POLE, 2 * COPIES) as (found, _, vector):
        process = found.asking()
        assert ask(process, 0).result().version == (1, 0)
        pending = ask(process, 1, newer_than=[1, 4])
        wait_for(lambda: bool(found.replica._held))
        found.publish(vector, 4)
        wait_for(lambda: found.replica.answering.version == (1, 4))
        assert not pending.done()
        found.publish(vector, 5)
        message = pending.result()
        # it may have been told to ask again meanwhile
        while message.meta.get("wait"):
            message = ask(process, 1, newer_than=[1, 4]).result()
        assert message.version == (1, 5)


def test_weights_of_another_network_end_the_replica_in_one_sentence(folder: Path) -> None:
    with served(folder, impala(), POLE, 2 * COPIES, publish=False) as (found, layout, vector):
        found.publish(vector[:-3])
        wait_for(lambda: bool(found.failed))
        (error,) = found.failed
        assert isinstance(error, Fatal)
        assert f"{layout.size - 3:,} parameters do not fit the network here, which has {layout.size:,}" in str(error)
        found.failed.clear()


def test_a_batch_is_answered_when_it_is_full_and_not_after_its_time_alone(folder: Path) -> None:
    config = impala(inference="central", inference_batch=4)
    # so long a wait that the calls would end in a timeout if it alone ended a batch
    with served(folder, config, POLE, 2 * COPIES, actors=2, wait=60.0) as (found, _, _):
        assert found.replica.batch == 4
        one, two = found.asking(0), found.asking(1)
        pending = [ask(one, 0), ask(two, 0)]
        assert [len(each.result().arrays["actions"]) for each in pending] == [COPIES, COPIES]
        # the answers are sent before they are counted
        wait_for(lambda: len(found.replica._gauges._latencies) == 2)
        row = found.replica._gauges.read()
        assert row["batch_fill"] == 1.0
        assert 0 < row["latency_p50_ms"] <= row["latency_p99_ms"]
        assert row["actions_per_second"] > 0


def test_an_idle_replica_reports_no_fill() -> None:
    assert set(Gauges(4).read()) == {"actions_per_second"}
