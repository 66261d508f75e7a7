"""A disk that takes no files: what is known stays known, and it is said."""

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local import daemon, supervisor
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.log_pump import LogWriter
from surreal.orchestrator.supervision.observe import status_of
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import InvalidInput, SurrealError
from tests.orchestrator.runs import create, pid, plan, process, until

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


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_without_room_for_the_record_starts_nothing(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunRecord, "reserve", full)
    with pytest.raises(InvalidInput, match=r"toy: No space left on device\. Nothing was started: make room there"):
        create(place)
    assert place.names() == []


def test_a_supervisor_that_cannot_write_its_first_record_ends_and_leaves_nothing(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = RunRecord.reserve

    def reserve_and_break(record: RunRecord, folder: Folder) -> None:
        reserve(record, folder)
        folder.status.unlink()
        folder.status.mkdir()

    monkeypatch.setattr(RunRecord, "reserve", reserve_and_break)
    with pytest.raises(SurrealError, match=r"toy did not start.*\n.*: Is a directory\. Nothing was started"):
        create(place)
    assert place.names() == []


def test_a_supervisor_that_cannot_write_its_first_record_takes_its_sockets_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sockets = Folder(tmp_path / "toy"), tmp_path / "sockets"
    folder.make()
    sockets.mkdir()
    home.write_json(folder.provenance, {"code": str(tmp_path)})
    folder.plan.write_text(plan().to_json())
    monkeypatch.setattr(supervisor, "Wakeup", lambda: None)
    monkeypatch.setattr(supervisor, "make_socket_folder", lambda _: sockets)
    monkeypatch.setattr(RunRecord, "write", full)
    with pytest.raises(InvalidInput, match=r"toy: No space left on device\. Nothing was started"):
        supervisor.Supervisor(folder)
    assert not sockets.exists()


def test_a_run_that_finds_no_room_to_go_on_stays_as_it_was(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(place)
    pid(place, name, "learner")
    place.stop(name)
    with monkeypatch.context() as broken:
        broken.setattr(RunRecord, "reserve", full)
        with pytest.raises(InvalidInput, match="Nothing was started"):
            place.resume(name)
    assert (place.status(name).state, place.status(name).reason) == ("stopped", "")
    place.resume(name)
    pid(place, name, "learner")


def test_room_that_cannot_be_taken_leaves_the_spare_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, record = Folder(tmp_path), RunRecord("stopped", number=3)
    record.reserve(folder)
    record.write_spare(folder)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        record.reserve(folder)
    assert RunRecord.read(folder) == record and list(tmp_path.iterdir()) == [folder.spare_status]


def test_a_run_whose_files_name_no_supervisor_is_ended_all_the_same(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(place)
    learner, folder = pid(place, name, "learner"), home.find(name)
    monkeypatch.setattr(daemon, "INTRODUCTION_SECONDS", 0.1)
    folder.spare_status.unlink()
    replace(RunRecord.read(folder), supervisor=None, born=None).write(folder)
    assert place.stop(name)
    assert not os_process.is_held(folder) and os_process.born(learner) is None
    assert place.status(name).state == "stopped"


def test_a_run_that_nobody_can_end_is_not_said_to_be_ended(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.new_folder("held")
    folder.make()
    for seconds in ("INTRODUCTION_SECONDS", "GONE_SECONDS"):
        monkeypatch.setattr(daemon, seconds, 0.1)
    held = os_process.acquire(folder)
    assert held is not None
    try:
        for end in (place.stop, place.delete):
            with pytest.raises(SurrealError, match=r"^held: the run was not ended: .*lsof .*supervisor\.lock$"):
                end("held")
    finally:
        os.close(held)
    assert folder.path.is_dir()


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


def test_a_stop_that_loses_steps_says_how_many_before_and_after(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    folder = home.find(name)
    (folder.checkpoints / "step-000000000400").mkdir(parents=True)
    now = {"at": time.time(), "steps": 1000, "trouble": "since noon cannot write a checkpoint: No space left on device"}
    home.write_json(folder.progress, now)
    lost = "a checkpoint: No space left on device: 600 steps are lost, and a resume goes on from step 400"
    assert lost in place.loss_at_stop(name)
    place.stop(name)
    home.write_json(folder.progress, now)
    assert lost in LocalBackend().status(name).reason
    assert place.loss_at_stop(name) == ""
    home.write_json(folder.progress, {**now, "steps": 400})
    assert LocalBackend().status(name).reason == ""


def test_a_disk_with_hardly_any_room_is_told_where_no_process_could_tell(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = create(place)
    pid(place, name, "learner")
    usage = shutil.disk_usage(home.find(name).path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=70 * 1024))
    assert "cannot be written: 70 kB are left on its disk; the run goes on" in place.status(name).reason
    place.stop(name)
    assert place.status(name).reason == ""
