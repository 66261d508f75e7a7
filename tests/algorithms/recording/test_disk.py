"""A full, read-only or failing disk ends nothing, loses nothing within its bound, and is said once."""

import errno
import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from surreal.algorithms.recording import disk as module
from surreal.algorithms.recording.disk import AppendLog, Disk, replace_file
from tests.algorithms.recording.tmpfs import SmallDisk


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again without waiting."""
    monkeypatch.setattr(module.Disk.attempt, "__defaults__", (0.0,))


def lines(path: Path) -> list[int]:
    return [int(line) for line in path.read_bytes().split()]


def append(log: AppendLog, numbers: range) -> None:
    for number in numbers:
        log.append(b"%d\n" % number)


def test_rows_of_a_full_disk_are_written_when_there_is_room(
    small_disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk()
    log = AppendLog(small_disk.path / "rows", disk, b"\n")
    append(log, range(10))
    small_disk.fill()
    append(log, range(10, 5000))
    assert disk.errors > 1000
    assert re.fullmatch(r"since [0-9 :-]{16} UTC cannot write rows: No space left on device", disk.trouble)
    assert sum("cannot write rows" in record.message for record in caplog.records) == 1
    small_disk.empty()
    append(log, range(5000, 5001))
    log.close()
    assert lines(log.path) == list(range(5001))
    assert (disk.trouble, disk.lost) == ("", 0)
    assert sum("rows can be written again" in record.message for record in caplog.records) == 1


def test_rows_of_a_read_only_disk_are_written_when_it_takes_them(small_disk: SmallDisk) -> None:
    disk = Disk()
    log = AppendLog(small_disk.path / "below" / "rows", disk, b"\n")
    small_disk.read_only(True)
    append(log, range(10))
    assert disk.trouble.endswith(" UTC cannot write rows: Read-only file system")
    small_disk.read_only(False)
    append(log, range(10, 11))
    log.close()
    assert lines(log.path) == list(range(11))


def test_a_disk_that_fails_now_and_then_tears_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, write = 0, os.write

    def failing(file: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise OSError(errno.EIO, "Input/output error")
        return write(file, data[: max(1, len(data) // 2)])

    monkeypatch.setattr(os, "write", failing)
    disk = Disk()
    log = AppendLog(tmp_path / "rows", disk, b"\n")
    append(log, range(1000, 1200))
    monkeypatch.setattr(os, "write", write)
    log.close()
    assert lines(log.path) == list(range(1000, 1200))
    assert disk.errors > 50


def test_what_waits_is_bounded_and_what_is_given_up_is_counted_and_whole(
    small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 1000)
    disk = Disk()
    log = AppendLog(small_disk.path / "rows", disk, b"\n")
    append(log, range(1000, 1100))
    small_disk.fill()
    append(log, range(1100, 9000))
    small_disk.empty()
    log.close()
    found = lines(log.path)
    assert found[:100] == list(range(1000, 1100)) and found[-100:] == list(range(8900, 9000))
    assert disk.lost == 8000 - len(found)


def test_a_small_file_is_replaced_on_a_full_disk_too(small_disk: SmallDisk) -> None:
    path = small_disk.path / "progress.json"
    replace_file(path, '{"steps": 10}')
    small_disk.fill()
    for text in ('{"steps": 11, "trouble": "no room"}', '{"steps": 12}'):
        replace_file(path, text)
        assert path.read_text().strip() == text
    assert [entry.name for entry in small_disk.path.iterdir() if entry.name.startswith(".")] == []


def test_a_small_file_that_is_not_there_yet_fails_for_the_true_reason(small_disk: SmallDisk) -> None:
    small_disk.fill()
    with pytest.raises(OSError, match="No space left on device"):
        replace_file(small_disk.path / "progress.json", "{}")


def test_all_kinds_of_files_that_fail_are_said_with_the_moment_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(code: int) -> None:
        raise OSError(code, os.strerror(code))

    class Clock(datetime):
        minute_now = 12

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 11, 30, 4, cls.minute_now, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Clock)
    disk = Disk()
    for minute, what, code in ((12, "metrics.jsonl", errno.ENOSPC), (13, "a checkpoint", errno.ENOSPC)):
        Clock.minute_now = minute
        disk.attempt(what, lambda code=code: failing(code))  # type: ignore[misc]
    full = "since 2026-11-30 04:12 UTC cannot write metrics.jsonl, a checkpoint: No space left on device"
    assert disk.trouble == full
    disk.attempt("the best policy", lambda: failing(errno.EIO))
    assert disk.trouble == f"{full}; the best policy: Input/output error"
    disk.attempt("metrics.jsonl", lambda: None)
    disk.attempt("the best policy", lambda: None)
    assert disk.trouble == "since 2026-11-30 04:13 UTC cannot write a checkpoint: No space left on device"


def test_a_failure_is_tried_again_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    disk, calls = Disk(), []

    def fail() -> None:
        calls.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    logging.getLogger(module.__name__)
    assert not disk.attempt("x", fail, every=60.0)
    assert not disk.attempt("x", fail, every=60.0)
    assert len(calls) == 1
