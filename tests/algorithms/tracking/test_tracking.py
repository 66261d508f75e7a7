"""Tracking: every row once, in order, over restarts; nothing that a tracker does ends a run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.recording.rows import RESUMED
from surreal.algorithms.tracking.notes import Notes

FAKE_WANDB = '''
"""A stand-in that writes what it is given to a file: the real library is no dependency of the tests."""
import json, os
class Settings(dict):
    pass
class Run:
    def define_metric(self, *_, **__): pass
    def log(self, row, step):
        if os.environ.get("BROKEN"): raise ConnectionError("no network")
        self.say([step, row])
    def finish(self, exit_code): self.say(["end", exit_code])
    def say(self, what):
        with open(os.environ["SEEN"], "a") as file: file.write(json.dumps(what) + "\\n")
def init(**given):
    if os.environ.get("REFUSES"): raise ValueError("no API key")
    Run().say(["init", given["project"], given["config"]["gamma"]])
    return Run()
'''


def write(folder: Path, *rows: dict[str, Any]) -> None:
    (folder / "metrics").mkdir(exist_ok=True)
    with (folder / "metrics" / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps({"attempt": 1, "role": "learner/0", **row}) + "\n" for row in rows)


def track(folder: Path, said: str = "succeeded\n", **variables: str) -> tuple[str, list[Any]]:
    """Track a run that is over at once; return the log and what the stand-in was given."""
    modules, seen = folder / "modules", folder / "seen"
    modules.mkdir(exist_ok=True)
    (modules / "wandb.py").write_text(FAKE_WANDB)
    about = {"folder": str(folder), "name": "one", "track": {"wandb": {"project": "p"}}, "config": {"gamma": 0.9}}
    done = subprocess.run(
        [sys.executable, "-m", "surreal.algorithms.tracking"],
        input=json.dumps(about) + "\n" + said,
        text=True,
        capture_output=True,
        timeout=200,
        env={"PYTHONPATH": str(modules), "SEEN": str(seen), "PATH": "", **variables},
    )
    lines = seen.read_text().splitlines() if seen.exists() else []
    seen.unlink(missing_ok=True)
    return done.stderr, [json.loads(line) for line in lines]


def test_rows_arrive_once_in_order_and_the_outcome_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0, "note": "x"}, {"time": 2.0, "steps": 20, "loss": 1.0})
    log, seen = track(tmp_path)
    assert log == ""
    assert seen == [
        ["init", "p", 0.9],
        [1, {"steps": 10, "learner/loss": 2.0}],
        [2, {"steps": 20, "learner/loss": 1.0}],
        ["end", 0],
    ]


def test_a_restarted_run_goes_on_in_the_same_place_with_new_rows_only(tmp_path: Path) -> None:
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    assert track(tmp_path, said="")[1][-1] == ["end", 1]
    write(tmp_path, {"time": 2.0, "role": "run", "steps": 10, RESUMED: 10, "attempt": 2})
    write(tmp_path, {"time": 3.0, "steps": 30, "loss": 1.0, "attempt": 2})
    seen = track(tmp_path)[1]
    assert seen == [["init", "p", 0.9], [2, {"steps": 30, "learner/loss": 1.0}], ["end", 0]]


def test_rows_that_a_tracker_did_not_take_are_sent_when_it_does(tmp_path: Path) -> None:
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    log, seen = track(tmp_path, BROKEN="1")
    assert "spec.track.wandb: cannot write now: ConnectionError: no network" in log
    assert seen == [["init", "p", 0.9], ["end", 0]]
    assert [row[1]["steps"] for row in track(tmp_path)[1][1:-1]] == [10]


def test_a_tracker_that_refuses_costs_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    log, seen = track(tmp_path, REFUSES="1")
    assert log == "spec.track.wandb: nothing is written: ValueError: no API key\n" and seen == []


def events(folder: Path) -> list[tuple[str, int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    found = [(tag, each.step, each.value) for tag in read.Tags()["scalars"] for each in read.Scalars(tag)]
    return sorted(found, key=lambda each: each[1])


def test_tensorboard_gets_events_in_a_folder_of_many_runs_over_restarts(tmp_path: Path) -> None:
    def follow() -> str:
        about = {"folder": str(tmp_path), "name": "one", "config": {}}
        told = {**about, "track": {"tensorboard": {"folder": str(tmp_path / "many")}}}
        done = subprocess.run(
            [sys.executable, "-m", "surreal.algorithms.tracking"],
            input=json.dumps(told) + "\nstopped\n",
            text=True,
            capture_output=True,
            timeout=200,
        )
        return done.stderr

    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0}, {"time": 2.0, "steps": 20, "loss": 1.5})
    assert follow() == ""
    write(tmp_path, {"time": 3.0, "role": "run", "steps": 10, RESUMED: 10, "attempt": 2})
    write(tmp_path, {"time": 4.0, "steps": 30, "loss": 1.0, "attempt": 2})
    assert follow() == ""
    assert [each[1:] for each in events(tmp_path / "many" / "one")] == [(10, 2.0), (20, 1.5), (30, 1.0)]


def test_notes_that_are_damaged_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "track.json").write_text("[1")
    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    notes = Notes(tmp_path)
    notes.look(["mlflow"])
    assert [row["steps"] for row in notes.unsent("mlflow")] == [10]


def test_a_run_with_a_tracker_sends_its_metrics_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from surreal.algorithms.recording.tracking import Tracking
    from surreal.protocol.wiring import Wiring

    write(tmp_path, {"time": 1.0, "steps": 10, "loss": 2.0})
    (tmp_path / "wandb.py").write_text(FAKE_WANDB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    wiring = Wiring(
        experiment="one",
        role="learner",
        index=0,
        incarnation=1,
        run="x:y",
        replicas={"learner": 1},
        channels={},
        control="",
        serves_control=True,
        run_folder=str(tmp_path),
        seed=1,
        config={"gamma": 0.9},
        track={"wandb": {"project": "p"}},
    )
    Tracking(wiring).close("succeeded")
    assert json.loads((tmp_path / "seen").read_text().splitlines()[-1]) == ["end", 0]
