"""The progress of a run as its status says it: right for any size, and never older than it looks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from surreal.orchestrator.run.describe import speed
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import ProcessStatus, Status, read_progress, running_reason
from surreal.protocol.telemetry.gauges import STALE_AFTER_S, Progress
from surreal.protocol.transport.stats import ONCE

NOW = 1_800_000_000.0


def test_two_thousand_actors_and_an_evaluation_an_hour_old_hide_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.metrics.mkdir()
    report = json.dumps({"time": NOW, "role": "actor/1999", "steps": 5, "episode_return": 1.0}) + "\n"
    folder.metrics_jsonl.write_text(report * 20_000)
    snapshot = {"at": NOW, "steps": 7_000, "total_steps": 10_000, "updates": 3, "eval_return": 812.5}
    folder.progress.write_text(json.dumps(snapshot))
    progress = read_progress(folder)
    assert (progress.steps, progress.updates, progress.eval_return) == (7_000, 3, 812.5)
    assert progress.progress_at == NOW


def test_half_a_snapshot_is_passed_over_for_the_rows(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.metrics.mkdir()
    folder.metrics_jsonl.write_text(json.dumps({"time": NOW, "steps": 9, "updates": 1}) + "\n")
    for damaged in ('{"at": 1', "[1]", '{"at": 1, "steps": null}'):
        folder.progress.write_text(damaged)
        assert read_progress(folder).steps == 9, damaged


def test_a_speed_of_long_ago_is_no_speed() -> None:
    then = Progress(steps=500, total_steps=1_000, steps_per_second=100.0, progress_at=NOW)
    soon, late = then.seen_at(NOW + 5), then.seen_at(NOW + 4 * 60)
    assert (soon.progress_age, soon.steps_per_second, soon.eta_seconds, soon.stalled) == (5.0, 100.0, 5.0, False)
    assert (late.progress_age, late.steps_per_second, late.eta_seconds, late.stalled) == (240.0, None, None, True)
    assert speed(Status("toy", "local", "/f", "running", progress=late)) == "none for 4 min"


def test_a_speed_is_of_the_last_seconds_up_to_now() -> None:
    then = Progress(steps=500, total_steps=1_000, steps_per_second=100.0, rate_seconds=1.0, progress_at=NOW)
    ages = (1.9, 5.0, 11.0, 12.0, 40.0)
    speeds = [then.seen_at(NOW + age).steps_per_second for age in ages]
    assert speeds == pytest.approx([100.0, 70.0, 10.0, 0.0, 0.0], abs=0.1)
    still = Status("toy", "local", "/f", "running", progress=then.seen_at(NOW + 40))
    assert speed(still) == "0 steps/s" and still.progress.eta_seconds is None


def test_a_run_whose_updates_take_long_is_not_late_between_two() -> None:
    slow = Progress(steps=500, steps_per_second=100.0, rate_seconds=25.0, progress_at=NOW)
    assert [slow.seen_at(NOW + age).steps_per_second for age in (5, 30, 50)] == [100.0] * 3
    assert slow.seen_at(NOW + 55).steps_per_second == 50.0


def test_a_learner_that_has_just_been_started_again_is_not_late() -> None:
    restarted = Progress(steps=500, steps_per_second=100.0, progress_at=NOW).seen_at(NOW + 900, started=NOW + 890)
    assert restarted.progress_age == 10.0 and not restarted.stalled
    assert restarted.steps_per_second is None, "that was the speed of the one before"


def test_a_run_that_compiles_before_its_first_step_says_so_in_place_of_starting() -> None:
    learner = ProcessStatus(0, "running", 0, 1, "here", f"compiles the gradients {ONCE} for 12 s")
    compiling = Status("toy", "local", "/f", "running", roles={"learner": (learner,)})
    assert speed(compiling) == "compiling (once for this machine)"
    assert speed(replace(compiling, progress=Progress(steps=5, steps_per_second=7.0))) == "7 steps/s"
    assert speed(replace(compiling, roles={"learner": (replace(learner, reason=""),)})) == "starting"
    assert running_reason(Progress(), [("actor/0", learner.reason), ("actor/1", learner.reason)]) == (
        "actor/0 and actor/1 compile the gradients (once for this machine) for 12 s"
    )


def test_the_sentence_names_who_stands_still_and_where() -> None:
    stalled = Progress(steps=500, progress_at=NOW).seen_at(NOW + 4 * 60)
    stuck = "is inside env.step (my_env.py:12) for 4 min"
    assert running_reason(stalled, [("actor/1", stuck)]) == f"no progress for 4 min: actor/1 {stuck}"
    assert running_reason(stalled, []) == "no progress for 4 min"
    waiting = replace(stalled, waiting_for="actor/1, actor/2")
    assert running_reason(waiting, [("actor/1", stuck)]) == (
        f"no progress for 4 min: waiting for actor/1, actor/2; actor/1 {stuck}"
    )
    assert stalled.progress_age is not None and stalled.progress_age > STALE_AFTER_S


def test_what_the_learner_says_in_words_is_in_the_status(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    snapshot = {"at": NOW, "steps": 7, "waiting_for": "actor/1", "trouble": "cannot write a checkpoint: No space left"}
    folder.progress.write_text(json.dumps(snapshot))
    progress = read_progress(folder)
    assert progress.waiting_for == "actor/1"
    assert running_reason(progress, []) == (
        "cannot write a checkpoint: No space left; the run goes on with its results in memory"
    )
    folder.progress.write_text(json.dumps({**snapshot, "waiting_for": 5, "trouble": None}))
    assert read_progress(folder).waiting_for is read_progress(folder).trouble is None


def test_fragments_that_were_dropped_are_counted_in_the_status(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.progress.write_text(json.dumps({"at": NOW, "steps": 7, "refused_fragments": 1_160.0}))
    said = running_reason(read_progress(folder), [])
    assert said == "1,160 fragments were dropped for NaN, infinity or a wrong shape; the logs of the actors say where"
    assert "1 fragment was dropped" in running_reason(Progress(refused_fragments=1), [])


def test_equal_reasons_are_said_once() -> None:
    failing = [(f"actor/{index}", "failed (exit 1): ValueError: x") for index in range(64)]
    assert running_reason(Progress(), failing) == "actor/0 and 63 others failed (exit 1): ValueError: x"
    assert running_reason(Progress(), failing[:2]) == "actor/0 and actor/1 failed (exit 1): ValueError: x"
    assert running_reason(Progress(), []) == ""
    stuck = [(f"actor/{index}", "is inside env.step (my_env.py:12)") for index in range(2)]
    assert running_reason(Progress(), stuck) == "actor/0 and actor/1 are inside env.step (my_env.py:12)"
