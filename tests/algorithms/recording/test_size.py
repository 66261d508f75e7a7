"""The size of a large run's metrics: it grows with time and not with the number of actors."""

import random
from pathlib import Path

import pytest

from surreal.algorithms.recording import recorder as module
from surreal.algorithms.recording.recorder import RunRecorder
from tests.algorithms.recording.test_recorder import processes, rows

SECONDS = 600
MOST_BYTES_A_DAY = 200e6
LEARNER = [
    "updates",
    "elapsed",
    "steps_per_second",
    "rate_seconds",
    "policy_loss",
    "value_loss",
    "entropy",
    "kl",
    "clip_fraction",
    "explained_variance",
    "learning_rate",
    "epochs",
    "episodes",
    "episode_return",
    "episode_return_min",
    "episode_return_max",
    "staleness",
    "staleness_max",
    "dropped_stale",
    "dropped_by_restart",
    "dropped_malformed",
    "batches_without_an_actor",
    "skipped_minibatches",
    "share_waiting",
    "share_learning",
    "share_other",
]
"""Metrics of PPO's learner, a row each second."""
ACTOR = ["share_waiting", "share_acting", "share_environment", "share_sending", "refused_fragments"]
"""Metrics of PPO's actor, a report each five seconds."""


def test_a_thousand_actors_write_less_than_200_megabytes_a_day(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, now, figure = folder / "run", [0.0], random.Random(1).random
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with processes(run) as (learner,):
        recorder = RunRecorder(learner)
        for second in range(SECONDS):
            now[0] = float(second)
            if second % 5 == 0:
                for index in range(1000):
                    recorder._reports.add(f"actor/{index}", {name: figure() for name in ACTOR})
            recorder.record(10_000 * second, {"total_steps": 10**9, **{name: 1000 * figure() for name in LEARNER}})
            recorder.read_reports((2, second), 10_000 * second)
        recorder.close()
    written = {path.name: path.stat().st_size for path in (run / "metrics").iterdir()}
    assert sum(written.values()) * 86_400 / SECONDS < MOST_BYTES_A_DAY, written
    assert sum(row["role"] == "actor" for row in rows(run)) > SECONDS / 20
