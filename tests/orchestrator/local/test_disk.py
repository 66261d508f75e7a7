"""A disk that takes no files: what is known stays known, and it is said."""

import json
import os
import signal
import time
from pathlib import Path

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.log_pump import LogWriter
from surreal.orchestrator.supervision.observe import status_of
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from tests.orchestrator.runs import create, pid, process, until

FULL = Path("/dev/full")
"""Takes nothing: every write says that the device is full."""


def test_the_status_is_right_while_its_file_cannot_be_written(place: LocalBackend) -> None:
    name = create(place)
    actor, folder = pid(place, name, "actor"), home.find(name)
    folder.status.unlink()
    folder.status.mkdir()  # no file can take its place, not even root's
    os.kill(actor, signal.SIGKILL)
    until(lambda: place.status(name).roles, "the record is in the room that was kept for it")
    until(lambda: process(place, name, "actor").restarts == 1, "the restart is known")
    status = place.status(name)
    assert status.state == "running" and f"{folder.path} cannot be written: " in status.reason
    folder.status.rmdir()
    until(lambda: not place.status(name).reason, "it can be written again, and all is well")
    assert process(place, name, "actor").restarts == 1


def test_the_newer_of_two_records_counts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    record = RunRecord("running", processes=[ProcessRecord("actor", 0)], number=1)
    record.reserve(folder)
    assert RunRecord.read(folder) == RunRecord(), "room alone is no record"
    record.write(folder)
    record.number, record.disk = 2, "No space left on device"
    size = folder.spare_status.stat().st_size
    record.write_spare(folder)
    assert RunRecord.read(folder) == record and folder.spare_status.stat().st_size == size
    record.number, record.disk = 3, ""
    record.write(folder)
    assert RunRecord.read(folder) == record


def test_lines_that_find_no_room_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    files = [FULL, tmp_path / "log"]
    writer = LogWriter(lambda segment: files[0] if len(files) == 2 else tmp_path / "log")
    writer.write(b"one\ntwo\n")
    assert writer.trouble == "No space left on device"
    assert writer.tail == b"one\ntwo\n", "the reason of a crash is known all the same"
    writer.close()
    files.pop()
    writer.write(b"three\n")
    writer.close()
    assert writer.trouble == ""
    text = (tmp_path / "log").read_text()
    assert "(2 lines are missing here: No space left on device)" in text and text.endswith("Z three\n")


def test_the_status_names_all_kinds_of_files_that_a_full_disk_does_not_take(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    since = "since 2026-11-30 04:12 UTC"
    record = RunRecord("running", processes=[ProcessRecord("learner", 0, state="running")])
    record.disk = f"No space left on device (status.json, logs; {since})"
    record.write(folder)
    on = "; the run goes on with its results in memory"
    mine = f"{tmp_path} cannot be written: {record.disk}"
    assert status_of(folder, alive=lambda: True).reason == f"{mine}{on} only"
    trouble = f"{since} cannot write metrics.jsonl, a checkpoint: No space left on device"
    folder.progress.write_text(json.dumps({"at": time.time(), "steps": 7, "trouble": trouble}))
    assert status_of(folder, alive=lambda: True).reason.splitlines() == [f"{trouble}{on}", mine]
