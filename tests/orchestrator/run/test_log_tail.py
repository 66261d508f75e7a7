"""Logs of any size: the end is read from the end, and lines are merged by the moment at which they came."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from surreal.orchestrator.run.describe import one_line, plain_line
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.log_files import LONGEST_LINE, read


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path)
    found.logs.mkdir()
    return found


def stamped(second: int, text: str) -> str:
    return f"2026-11-28T07:05:{second:02}.000Z {text}\n"


def texts(folder: Folder, tail: int | None = None) -> list[str]:
    sources = {"actor/0", "actor/1", "supervisor"}
    return [line.text for line in read(folder, sources, tail, None)]


def test_the_last_lines_of_a_terabyte_are_read_from_its_end(folder: Folder) -> None:
    with folder.process_log("actor", 0, 1).open("wb") as file:
        file.truncate(2**40)  # a hole, which would take hours to read
        file.seek(2**40)
        file.write("".join(stamped(second, f"line {second}") for second in range(10)).encode())
    assert texts(folder, 3) == ["line 7", "line 8", "line 9"]
    assert texts(folder, 0) == []


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_tail_is_what_reading_it_all_ends_with(folder: Folder, end: str) -> None:
    lines = [stamped(index % 60, f"{index} {'x' * (index % 97)}") for index in range(6_000)]
    folder.process_log("actor", 0, 1).write_text("".join(lines).removesuffix("\n") + end)
    for tail in (1, 2, 1_000, 5_999, 6_000, 10_000):
        assert texts(folder, tail)[-1].startswith("5999 ") and len(texts(folder, tail)) == min(tail, 6_000)
    assert sorted(texts(folder, 10_000)) == sorted(texts(folder))


def test_a_line_without_an_end_does_not_grow_the_tail(folder: Folder) -> None:
    folder.process_log("actor", 0, 1).write_text("x" * (5 * LONGEST_LINE))
    assert sum(map(len, texts(folder, 2))) <= 2 * LONGEST_LINE


def test_segments_and_processes_are_one_stream_in_order_of_time(folder: Folder) -> None:
    folder.process_log("actor", 0, 1).write_text(stamped(1, "a") + stamped(5, "e"))
    folder.process_log("actor", 0, 1, 2).write_text(stamped(6, "f") + "Traceback\n")
    folder.process_log("actor", 0, 1, 10).write_text(stamped(6, "g"))
    folder.process_log("actor", 1, 2).write_text(stamped(2, "b") + stamped(4, "d"))
    folder.supervisor_log.write_text(stamped(3, "c"))
    folder.supervisor_segment(2).write_text(stamped(7, "h"))
    assert texts(folder) == ["a", "b", "c", "d", "e", "f", "Traceback", "g", "h"]
    line = next(read(folder, {"actor/0"}, None, None))
    assert line.at == datetime(2026, 11, 28, 7, 5, 1, tzinfo=UTC)


def test_a_segment_that_is_removed_while_it_is_read_is_its_end(folder: Folder) -> None:
    path = folder.process_log("actor", 0, 1)
    path.write_text("".join(stamped(1, "x" * 1_000) for _ in range(200)))
    lines = read(folder, {"actor/0"}, None, None)
    next(lines)
    path.unlink()
    assert 0 < sum(1 for _ in lines) < 199


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("plain text, ümläuts", "plain text, ümläuts"),
        ("0 %\r50 %\r100 %", "100 %"),
        ("0 %\r100 %\r", "100 %"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x00b\x9bc\x08", "abc"),
        ("tab\tstays", "tab\tstays"),
        ("\x1b[", ""),
    ],
)
def test_what_is_shown_is_the_last_state_and_moves_no_cursor(printed: str, shown: str) -> None:
    assert plain_line(printed) == shown


def test_a_cause_is_one_short_line() -> None:
    assert one_line("ValueError: a\n  b\r\nc" + "x" * 100, 20) == "ValueError: a   b..."
