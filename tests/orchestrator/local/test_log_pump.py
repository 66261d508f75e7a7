"""The output of processes on its way to files: stamped, bounded, and never in the way of who prints."""

import os
import re
from pathlib import Path

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.exits import KEEP_ATTEMPTS, remove_old_logs
from surreal.orchestrator.supervision.log_pump import KEEP_SEGMENTS, LogPump, LogWriter
from surreal.orchestrator.supervision.record import ProcessRecord
from tests.cli.terminal import surreal
from tests.orchestrator.runs import begun, create, plan, until

STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (.*)")


def texts(path: Path) -> list[str]:
    """The lines of a file without their stamps, which all of them have."""
    found = [STAMPED.fullmatch(line) for line in path.read_text().splitlines()]
    assert all(found)
    return [match[1] for match in found if match]


def test_every_line_has_one_stamp_however_it_came(tmp_path: Path) -> None:
    writer = LogWriter(lambda _: tmp_path / "log")
    for piece in (b"on", b"e\ntw", b"o\n\n", b"three", b"\n", b"four"):
        writer.write(piece)
    writer.close()
    assert texts(tmp_path / "log") == ["one", "two", "", "three", "four"]


def test_an_environment_that_prints_each_step_cannot_fill_the_disk(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.logs.mkdir()
    writer = LogWriter(lambda segment: folder.process_log("actor", 0, 1, segment), segment_bytes=10_000)
    for step in range(5_000):
        writer.write(b"step %d\n" % step)
    writer.close()
    files = sorted(folder.logs.iterdir())
    assert len(files) == KEEP_SEGMENTS
    assert sum(path.stat().st_size for path in files) < (KEEP_SEGMENTS + 1) * 10_000
    assert texts(folder.process_log("actor", 0, 1))[0] == "step 0", "how it began is kept"
    newest = max(files, key=lambda path: path.stat().st_mtime_ns)
    assert texts(newest)[-1] == "step 4999"


def test_what_a_process_said_last_is_taken_after_its_death(tmp_path: Path) -> None:
    pump, writer = LogPump(), LogWriter(lambda _: tmp_path / "log")
    readable, writable = pump.open(writer)
    os.write(writable, b"last words\n")
    os.close(writable)
    pump.close(readable)
    assert texts(tmp_path / "log") == ["last words"]


def test_a_process_that_crashes_for_days_keeps_its_first_and_newest_logs(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.logs.mkdir()
    for incarnation in range(1, 100):
        folder.process_log("actor", 0, incarnation).touch()
        folder.process_log("actor", 0, incarnation, 2).touch()
        remove_old_logs(folder, ProcessRecord("actor", 0, incarnation=incarnation))
    left = {path.name for path in folder.logs.iterdir()}
    assert len(left) == 2 * (KEEP_ATTEMPTS + 1)
    assert {"actor-0.1.log", "actor-0.1.2.log", "actor-0.99.log"} <= left


def test_a_bar_is_its_last_state_and_no_log_moves_the_cursor(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="noisy"))
    begun(place, name, "actor")
    until(lambda: any("100 %" in line.text for line in place.logs(name, "evaluator")), "the bar is drawn")
    shown = surreal("logs", name, "evaluator").stdout
    assert "evaluator/0|100 %\n" in shown.replace("| ", "|") and "\x1b" not in shown and "\r" not in shown
