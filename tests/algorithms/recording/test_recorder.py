"""The recorder: reports of others, the best policy, checkpoints and progress, whatever the disk does."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.recording import recorder as module
from surreal.algorithms.recording import recorder as recorder_module
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints, load
from surreal.algorithms.recording.recorder import RunRecorder
from surreal.algorithms.recording.rows import parse, read_rows
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session
from tests.algorithms.recording.tmpfs import SmallDisk

VERSION = (2, 7)


def wiring(folder: Path, role: str, index: int = 0) -> Wiring:
    """A run in which actors and a judge report to the learner; sockets are not on its disk."""
    sockets = folder.parent
    metrics = ChannelWiring(
        "metrics", "stream", ("actor", "judge"), ("learner",), addresses=(f"ipc://{sockets}/m.ipc",), lossy=True
    )
    return Wiring(
        experiment="test",
        role=role,
        index=index,
        incarnation=2,
        run="",
        replicas={"learner": 1, "actor": 12, "judge": 1},
        channels={"metrics": metrics},
        control=f"ipc://{sockets}/c.ipc",
        serves_control=role == "learner",
        run_folder=str(folder),
        seed=1,
        checkpoints={"everySeconds": 60.0, "keep": 2},
        evaluators=("judge",),
    )


@contextmanager
def processes(folder: Path, *others: str) -> Iterator[list[Process]]:
    """The learner and others, each a member of the run."""
    folder.mkdir(exist_ok=True)
    sessions = [Session(wiring(folder, "learner"))]
    try:
        for name in others:
            role, _, index = name.partition("/")
            sessions.append(Session(wiring(folder, role, int(index))))
        yield [Process(session) for session in sessions]
    finally:
        for session in reversed(sessions):
            session.close()


def until(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "timed out"
        sleep(0.01)


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(map(parse, (folder / "metrics" / "metrics.jsonl").read_bytes().splitlines()))


def checkpoint(steps: int, size: int = 10) -> Checkpoint:
    return Checkpoint(steps, {"w": np.full(size, float(steps))})


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write reports at once, and try again what failed."""
    monkeypatch.setattr(module, "REPORTS_SECONDS", 0.0)
    monkeypatch.setattr(module, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr("surreal.algorithms.recording.disk.Disk.attempt.__defaults__", (0.0,))


def test_actors_reports_become_one_row_and_keep_their_own_gauges(folder: Path, soon: None) -> None:
    run = folder / "run"
    with processes(run, "actor/0", "actor/2") as (learner, *actors):
        recorder = RunRecorder(learner)
        for number, actor in enumerate(actors):
            actor.sender("metrics").send({}, {"share_acting": number / 2})
        until(lambda: recorder.read_reports(VERSION, 40) or recorder.mean_of("share_acting") == 0.25)
        recorder.read_reports(VERSION, 50)
        recorder.close()
        gauges = learner.session.gauges.values()["actor_share_acting"]
    assert gauges == {"actor/0": 0.0, "actor/2": 0.5}
    written = [row for row in rows(run) if row["role"] == "actor"]
    assert sum(row["processes"] for row in written) == 2
    assert {row["role"] for row in rows(run)} == {"actor"}


def test_a_malformed_report_costs_itself_only(folder: Path, soon: None) -> None:
    run = folder / "run"
    with processes(run, "judge/0") as (learner, judge):
        recorder, sender = RunRecorder(learner), judge.sender("metrics")
        odd: list[dict[str, Any]] = [
            {"steps": "many", "x": 1},
            {"steps": -5, "x": 1},
            {"eval_return": "high"},
            {"eval_return": None, "steps": 3},
            {"eval_return": 1.0, "steps": 3, "version": 12, "role": "learner/0", "x": b"bytes"},
            {"eval_return": 2.0, "steps": 4, "version": ["a", "b"]},
        ]
        for report in odd:
            sender.send({}, report)
        sender.send({}, {"eval_return": 3.0, "steps": 5, "version": list(VERSION)})
        until(lambda: recorder.read_reports(VERSION, 9))
        recorder.close()
    assert [(row["role"], row["steps"], row["eval_return"]) for row in rows(run)] == [
        ("judge/0", 3, 1.0),
        ("judge/0", 4, 2.0),
        ("judge/0", 5, 3.0),
    ]
    assert recorder.malformed == 4


def test_the_end_waits_for_the_last_evaluation_whatever_the_evaluating_role_is_called(folder: Path) -> None:
    run = folder / "run"
    with processes(run, "judge/0") as (learner, judge):
        recorder, sender = RunRecorder(learner), judge.sender("metrics")
        until(lambda: learner.session.alive("judge"))
        later = Timer(0.3, sender.send, ({}, {"eval_return": 5.0, "steps": 10, "version": list(VERSION)}))
        later.start()
        recorder.await_last_evaluation(VERSION, 10)
        later.join()
        recorder.close()
    assert [row["eval_return"] for row in rows(run)] == [5.0]


def test_the_end_waits_for_an_evaluator_that_is_still_starting_and_for_no_other_role(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    for number, evaluators in enumerate([(), ("judge",)]):
        run = folder / f"run{number}"
        with processes(run) as (learner,):
            learner.wiring = learner.session.wiring = replace(learner.wiring, evaluators=evaluators)
            # without an evaluator it would take longer than the test may
            monkeypatch.setattr(recorder_module, "START_SECONDS", 0.4 if evaluators else 1000.0)
            recorder, began = RunRecorder(learner), time.monotonic()
            recorder.await_last_evaluation(VERSION, 10)
            waited.append(time.monotonic() - began)
            recorder.close()
    assert waited[1] >= 0.4


def test_the_end_does_not_wait_for_a_last_evaluation_that_came_in_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # longer than the test may take
    monkeypatch.setattr(recorder_module, "LAST_EVALUATION_SECONDS", 1000.0)
    run = folder / "run"
    with processes(run, "judge/0") as (learner, judge):
        recorder, sender = RunRecorder(learner), judge.sender("metrics")
        sender.send({}, {"eval_return": 5.0, "steps": 10, "version": list(VERSION)})
        until(lambda: recorder.read_reports(VERSION, 10))
        recorder.await_last_evaluation(VERSION, 10)
        recorder.close()


def test_an_evaluation_of_weights_that_a_restart_took_back_is_on_no_curve_but_may_be_the_best(folder: Path) -> None:
    run = folder / "run"
    Checkpoints(run / "checkpoints", 2).save(checkpoint(100))
    with processes(run, "judge/0") as (learner, judge):
        recorder, sender = RunRecorder(learner), judge.sender("metrics")
        assert recorder.restore() is not None
        sender.send({"parameters": np.ones(3)}, {"eval_return": 9.0, "steps": 150, "version": [1, 9]})
        sender.send({}, {"eval_return": 4.0, "steps": 100, "version": [1, 5]})
        sender.send({}, {"eval_return": 5.0, "steps": 110, "version": list(VERSION)})
        until(lambda: recorder.read_reports(VERSION, 110))
        recorder.close()
    assert [(row["steps"], row["eval_return"]) for row in read_rows(run)] == [(100, 4.0), (110, 5.0)]
    assert load(run / "checkpoints" / "best-000000000150").state == {"score": 9.0}


def test_progress_is_one_small_file_whose_time_is_that_of_the_last_update(folder: Path, soon: None) -> None:
    run = folder / "run"
    with processes(run, "judge/0") as (learner, judge):
        recorder = RunRecorder(learner)
        recorder.record(64, {"updates": 3, "total_steps": 100, "episode_return": float("nan"), "kl": 0.5})
        first = json.loads((run / "progress.json").read_text())
        recorder.record_waiting(64, "actor/1", 12.0)
        judge.sender("metrics").send({}, {"eval_return": 5.0, "steps": 10, "version": list(VERSION)})
        until(lambda: recorder.read_reports(VERSION, 64))
        recorder.close()
    last = json.loads((run / "progress.json").read_text())
    assert {key: first[key] for key in ("steps", "updates", "total_steps", "episode_return")} == {
        "steps": 64,
        "updates": 3,
        "total_steps": 100,
        "episode_return": None,
    }
    assert "kl" not in first
    assert last == {**first, "eval_return": 5.0, "waiting_for": "actor/1", "waiting_seconds": 12.0}


def test_a_full_disk_costs_no_row_no_best_policy_and_no_newer_checkpoint(small_disk: SmallDisk, soon: None) -> None:
    run = small_disk.path / "run"
    with processes(run, "judge/0") as (learner, judge):
        recorder, sender = RunRecorder(learner), judge.sender("metrics")
        recorder.restore()
        recorder.record(1, {"updates": 1})
        assert recorder.save(checkpoint(1), 1)
        small_disk.fill()
        assert not recorder.save(checkpoint(2, 10_000), 2)
        recorder.record(2, {"updates": 2})
        sender.send({"parameters": np.ones(3)}, {"eval_return": 9.0, "steps": 2, "version": list(VERSION)})
        until(lambda: recorder.read_reports(VERSION, 2))
        for steps in range(3, 200):
            recorder.record(steps, {"updates": steps})
        trouble = json.loads((run / "progress.json").read_text())["trouble"]
        said, failing = trouble.split(" UTC cannot write ")
        assert said.startswith("since ") and failing.endswith(": No space left on device")
        files = failing.partition(":")[0].split(", ")
        assert set(files) == {"a checkpoint", "metrics.jsonl", "TensorBoard events", "the best policy"}
        assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000000001"]
        small_disk.empty()
        recorder.record(200, {"updates": 200})
        recorder.read_reports(VERSION, 200)
        assert recorder.save_last(checkpoint(200), 200)
        recorder.close()
    assert [row["steps"] for row in read_rows(run) if row["role"] == "learner/0"] == list(range(1, 201))
    assert load(run / "checkpoints" / "best-000000000002").arrays["parameters"].tolist() == [1.0, 1.0, 1.0]
    assert "step-000000000200" in {path.name for path in (run / "checkpoints").iterdir()}
    assert "trouble" not in json.loads((run / "progress.json").read_text())
    last = [row for row in read_rows(run) if row["role"] == "learner/0"][-1]
    assert last["disk_errors"] > 100


def test_old_checkpoints_make_room_for_a_new_one_but_the_newest_stays(small_disk: SmallDisk) -> None:
    store = Checkpoints(small_disk.path / "checkpoints", keep=5)
    for steps in range(1, 6):
        store.save(checkpoint(steps, 100_000))
    names = sorted(path.name for path in (small_disk.path / "checkpoints").iterdir())
    assert "step-000000000005" in names and len(names) >= 2
    newest = store.newest()
    assert newest is not None and newest.steps == 5
    with pytest.raises(OSError, match="No space left"):
        store.save(checkpoint(6, 10_000_000))
    newest = store.newest()
    assert newest is not None and newest.steps == 5


def test_refused_fragments_add_up_over_actors_and_their_lives_and_are_told_at_the_end(tmp_path: Path) -> None:
    with processes(tmp_path / "run", "actor/0", "actor/1") as (learner, first, second):
        recorder = RunRecorder(learner)
        for actor, counts in ((first, (2, 5, 1)), (second, (3,))):  # the first was started again after 5
            for count in counts:
                actor.report({"refused_fragments": count})
        until(lambda: recorder.read_reports(VERSION, 10) or recorder._refused.total == 9)
        recorder.record(10, {})
        assert rows(tmp_path / "run")[-1]["refused_fragments"] == 9
        second.report({"refused_fragments": 4})
        until(lambda: recorder.read_reports(VERSION, 10) or recorder._refused.total == 10)
        recorder.close()
    assert json.loads((tmp_path / "run" / "progress.json").read_text())["refused_fragments"] == 10
    assert {row["refused_fragments_max"] for row in rows(tmp_path / "run") if row["role"] == "actor"} == {4}


def test_a_learner_that_is_started_again_still_counts_what_actors_refused_that_are_gone(
    tmp_path: Path, soon: None
) -> None:
    run = tmp_path / "run"
    with processes(run, "actor/0", "actor/1") as (learner, gone, stays):
        recorder = RunRecorder(learner)
        for actor, count in ((gone, 5), (stays, 3)):
            actor.report({"refused_fragments": count})
        until(lambda: recorder.read_reports(VERSION, 10) or recorder._refused.total == 8)
        recorder.record(10, {})
    with processes(run, "actor/1") as (learner, stays):
        recorder = RunRecorder(learner)  # the one before was killed: it closed nothing
        recorder.record(11, {})
        assert rows(run)[-1]["refused_fragments"] == 8
        stays.report({"refused_fragments": 4})
        until(lambda: recorder.read_reports(VERSION, 12) or recorder._refused.total == 9)
        recorder.close()
    assert json.loads((run / "progress.json").read_text())["refused_fragments"] == 9
