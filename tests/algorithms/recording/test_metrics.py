"""Rows for programs, events for TensorBoard, shares of time."""

import json
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from surreal.algorithms.recording.metrics import Metrics
from surreal.algorithms.recording.reports import Shares
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring


@pytest.fixture
def gauges() -> Gauges:
    """Of a run with a learner and an evaluator."""
    replicas = {"learner": 1, "evaluator": 1}
    return Gauges(Wiring("test", "learner", 0, 1, "", replicas, {}, "", True, "", 1))


def test_rows_are_json_lines_tensorboard_scalars_and_gauges(tmp_path: Path, gauges: Gauges) -> None:
    metrics = Metrics(tmp_path, gauges)
    metrics.write("learner/0", 100, {"kl": 0.5, "note": "text", "bad": float("nan"), "none": None})
    metrics.write("evaluator/0", 200, {"eval_return": 7.0})
    metrics.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics" / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["time"] == pytest.approx(time.time(), abs=60)
    assert {name: rows[0][name] for name in ("role", "steps", "kl", "note", "bad", "none")} == {
        "role": "learner/0",
        "steps": 100,
        "kl": 0.5,
        "note": "text",
        "bad": None,
        "none": None,
    }
    events = EventAccumulator(str(tmp_path / "metrics"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"learner/kl", "evaluator/eval_return"}
    assert [(event.step, event.value) for event in events.Scalars("evaluator/eval_return")] == [(200, 7.0)]
    assert gauges.values() == {
        "evaluator_eval_return": {"evaluator/0": 7.0},
        "evaluator_steps": {"evaluator/0": 200.0},
        "learner_kl": {"learner/0": 0.5},
        "learner_steps": {"learner/0": 100.0},
    }


def test_a_second_start_appends_to_the_rows_of_the_first(tmp_path: Path, gauges: Gauges) -> None:
    for steps in (1, 2):
        metrics = Metrics(tmp_path, gauges)
        metrics.write("learner/0", steps, {})
        metrics.close()
    assert len((tmp_path / "metrics" / "metrics.jsonl").read_text().splitlines()) == 2


def test_shares_are_of_the_time_between_two_readings() -> None:
    shares = Shares("acting", "waiting")
    shares.add("acting", 1e9)
    first, second = shares.read(), shares.read()
    assert first["share_acting"] > 1
    assert first["share_waiting"] == 0
    assert second == {"share_acting": 0.0, "share_waiting": 0.0}
