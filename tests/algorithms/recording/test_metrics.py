"""Rows for programs, events for TensorBoard, gauges for Prometheus."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from surreal.algorithms.recording import events
from surreal.algorithms.recording.events import framed
from surreal.algorithms.recording.metrics import Metrics
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring


@pytest.fixture
def gauges() -> Gauges:
    """Of a run with a learner and an evaluator."""
    replicas = {"learner": 1, "evaluator": 1}
    return Gauges(Wiring("test", "learner", 0, 1, "", replicas, {}, "", True, "", 1))


def curve(folder: Path, tag: str) -> list[int]:
    """Steps of a scalar as TensorBoard shows it."""
    shown = EventAccumulator(str(folder / "metrics"))
    shown.Reload()
    return [event.step for event in shown.Scalars(tag)]


def test_rows_are_json_lines_tensorboard_scalars_and_gauges(tmp_path: Path, gauges: Gauges) -> None:
    metrics = Metrics(tmp_path, gauges, attempt=3)
    metrics.write("learner/0", 100, {"kl": 0.5, "note": "text", "bad": float("nan"), "none": None})
    metrics.write("evaluator/0", 200, {"eval_return": 7.0})
    metrics.close()
    rows = [json.loads(line) for line in (tmp_path / "metrics" / "metrics.jsonl").read_text().splitlines()]
    assert rows[0].pop("time") == pytest.approx(time.time(), abs=60)
    assert rows[0] == {
        "role": "learner/0",
        "steps": 100,
        "attempt": 3,
        "kl": 0.5,
        "note": "text",
        "bad": None,
        "none": None,
    }
    shown = EventAccumulator(str(tmp_path / "metrics"))
    shown.Reload()
    assert set(shown.Tags()["scalars"]) == {"learner/kl", "evaluator/eval_return"}
    assert [(event.step, event.value) for event in shown.Scalars("evaluator/eval_return")] == [(200, 7.0)]
    assert gauges.values() == {
        "evaluator_eval_return": {"evaluator/0": 7.0},
        "evaluator_steps": {"evaluator/0": 200.0},
        "learner_kl": {"learner/0": 0.5},
        "learner_steps": {"learner/0": 100.0},
    }


def test_no_value_of_a_row_can_change_whose_it_is_or_end_the_writer(tmp_path: Path, gauges: Gauges) -> None:
    metrics = Metrics(tmp_path, gauges, attempt=1)
    odd = {"role": "learner/9", "steps": -1, "time": 0, "attempt": 7, "resumed_at": 3, "x": b"..", "y": [1], "z": {}}
    numbers = {"huge": 10**400, "large": 1e300, "array": np.zeros(3), "scalar": np.float32(0.5), "flag": True}
    metrics.write("actor", 5, {**odd, **numbers, "text": "a" * 10_000})
    metrics.close()
    row = json.loads((tmp_path / "metrics" / "metrics.jsonl").read_text())
    assert (row["role"], row["steps"], row["attempt"]) == ("actor", 5, 1)
    assert set(row) == {"time", "role", "steps", "attempt", "huge", "large", "scalar", "flag", "text"}
    assert (row["huge"], row["scalar"], len(row["text"])) == (None, 0.5, 500)


@pytest.mark.parametrize("size", [0, 1, 7, 300, 5000])
def test_records_are_framed_as_tensorboard_frames_them(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    theirs = io.BytesIO()
    RecordWriter(theirs).write(data)
    assert framed(data) == theirs.getvalue()


def test_a_learner_starts_without_tensorboards_writer() -> None:
    code = "import sys, surreal.algorithms.ppo.learner; print('tensorboard.compat.tensorflow_stub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_tensorboard_shows_one_curve_over_restarts(tmp_path: Path, gauges: Gauges) -> None:
    for attempt, resumed, steps in ((1, 0, (10, 20, 30, 40)), (2, 20, (25, 35)), (3, 35, (50,))):
        metrics = Metrics(tmp_path, gauges, attempt)
        metrics.begin(resumed)
        for step in steps:
            metrics.write("learner/0", step, {"kl": 0.5})
            metrics.write("evaluator/0", step, {"eval_return": 0.5})
        metrics.close()
    assert curve(tmp_path, "learner/kl") == [10, 20, 25, 35, 50]
    assert curve(tmp_path, "evaluator/eval_return") == [10, 20, 25, 35, 50]


def test_events_of_a_long_run_stay_within_their_bytes_and_keep_the_whole_curve(
    tmp_path: Path, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SEGMENT_BYTES", 2_000)
    clock = iter(range(10**9, 2 * 10**9))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    metrics = Metrics(tmp_path, gauges, 1)
    metrics.begin(0)
    for step in range(1, 1001):
        metrics.write("learner/0", step, {"kl": 0.5})
    metrics.close()
    files = sorted((tmp_path / "metrics").glob(f"{events.PREFIX}*"))
    assert len(files) <= 2 * 6 + 1
    assert sum(path.stat().st_size for path in files) < 2 * 6 * 2_400
    steps = curve(tmp_path, "learner/kl")
    assert steps == sorted(set(steps))
    assert steps[0] == 1 and steps[-20:] == list(range(981, 1001)) and len(steps) > 100
