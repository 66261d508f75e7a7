"""The status document: pinned, since scripts read it."""

import json
from pathlib import Path

from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import TAIL_BYTES, ProcessStatus, Status, read_progress
from surreal.protocol.telemetry.gauges import Progress

ROW = {
    "time": 1.0,
    "elapsed": 40.0,
    "role": "learner/0",
    "steps": 400_000,
    "total_steps": 1_000_000,
    "updates": 98,
    "steps_per_second": 10_000.0,
    "episode_return": 812.5,
    "staleness": 0.9,
    "loss": 0.1,
}


def write(path: Path, *rows: dict[str, object]) -> Folder:
    folder = Folder(path)
    folder.metrics.mkdir(parents=True)
    folder.metrics_jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_the_document_has_exactly_these_fields_in_this_order(tmp_path: Path) -> None:
    progress = read_progress(write(tmp_path / "m", ROW, {"role": "evaluator/0", "steps": 1, "eval_return": 900.0}))
    process = ProcessStatus(index=0, state="running", restarts=2, pid=41, node="laptop")
    status = Status("run", "local", "/f", "running", "", "2026-01-02T03:04:05+00:00", progress, {"actor": (process,)})
    document = {
        "name": "run",
        "backend": "local",
        "folder": "/f",
        "state": "running",
        "reason": "",
        "created": "2026-01-02T03:04:05+00:00",
        "steps": 400_000,
        "total_steps": 1_000_000,
        "updates": 98,
        "steps_per_second": 10_000.0,
        "rate_seconds": None,
        "episode_return": 812.5,
        "eval_return": 900.0,
        "refused_fragments": 0,
        "staleness": 0.9,
        "elapsed": 40.0,
        "hours": None,
        "cost": None,
        "progress_at": 1.0,
        "progress_age": None,
        "waiting_for": None,
        "trouble": None,
        "eta_seconds": 60.0,
        "roles": {
            "actor": [{"index": 0, "state": "running", "restarts": 2, "pid": 41, "node": "laptop", "reason": ""}]
        },
        "channels": [],
        "labels": {},
    }
    assert status.document() == document
    assert list(status.document()) == list(document)


def test_what_is_not_known_yet_is_null(tmp_path: Path) -> None:
    assert read_progress(Folder(tmp_path / "missing")) == Progress()
    early = read_progress(write(tmp_path / "m", {**ROW, "episode_return": None, "steps_per_second": 0.0}))
    assert (early.episode_return, early.eta_seconds) == (None, None)


def test_a_cut_or_foreign_line_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "m", ROW)
    with path.metrics_jsonl.open("ab") as file:
        file.write(b'[1]\n\xff\xfe\n{"role": "learner/0", "steps": 5000')
    assert read_progress(path).steps == 400_000


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    rows = [{**ROW, "steps": step, "padding": "x" * 200} for step in range(8000)]
    path = write(tmp_path / "m", *rows)
    assert path.metrics_jsonl.stat().st_size > 4 * TAIL_BYTES
    assert read_progress(path).steps == 7999


def test_nothing_is_left_of_a_run_that_succeeded_early() -> None:
    status = Status("run", "local", "/f", "succeeded", progress=Progress(10, 100, steps_per_second=1.0))
    assert status.over and status.document()["eta_seconds"] == 0.0
