"""How commands print: colour only where a person looks, brackets as they are, whole lines into a pipe."""

import io
import json
from typing import Any

import pytest
import yaml

from surreal.cli.ui.output import Output, console, emit, table, talk
from surreal.cli.ui.rows import Rows

DATA = {"name": "é", "roles": [{"index": 0, "state": "[red]running"}]}


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_data_reads_back_as_it_was(output: Output, read: object, capsys: pytest.CaptureFixture[str]) -> None:
    emit(DATA, output, lambda: pytest.fail("no table was asked for"))
    assert callable(read)
    assert read(capsys.readouterr().out) == DATA


def test_a_table_into_a_pipe_has_whole_lines_and_no_colour(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = table("name", "state")
    rows.add_row("x" * 300, "[red]running")
    emit({}, "table", lambda: rows)
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "STATE"]
    assert not header.endswith(" ")
    assert row.split() == ["x" * 300, "[red]running"]


def test_a_table_folds_what_a_narrow_terminal_cannot_hold_and_cuts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    rows = table("name", "remedy")
    rows.add_row("m6i.12xlarge", "https://example.org/a/long/way/out")
    emit({}, "table", lambda: rows)
    _, *lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 30 for line in lines)
    first, second = ("".join(line[part].strip() for line in lines) for part in (slice(12), slice(12, 30)))
    assert (first, second) == ("m6i.12xlarge", "https://example.org/a/long/way/out")


def test_a_table_keeps_long_words_whole_where_they_have_room(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    rows = table("name", "found", "remedy")
    rows.add_row("python", "3.11 at /a/long/way/to/python3", "a sentence of words that may be folded anywhere")
    emit({}, "table", lambda: rows)
    said = capsys.readouterr().out
    assert "/a/long/way/to/python3" in said and all(len(line) <= 60 for line in said.splitlines())


@pytest.mark.parametrize(("columns", "stacked"), [("80", False), ("50", True)])
def test_a_column_goes_below_another_where_their_words_have_no_room_beside_each_other(
    columns: str, stacked: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = Rows(("name", "found", "remedy"), stacks=True)
    rows.add_row("python", "3.11 at /a/long/way/to/python3", "install https://example.org/out")
    emit({}, "table", lambda: rows)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("  ")[-1].strip() == ("FOUND, REMEDY" if stacked else "REMEDY")
    assert any("/a/long/way/to/python3" in line for line in lines)
    assert any("https://example.org/out" in line for line in lines)


def test_talk_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    talk("warning: [x]")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "warning: [x]\n")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_is_honoured_on_a_terminal(no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    console().print("x", style="red")
    assert ("\x1b[31m" in stream.getvalue()) is coloured


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_what_json_cannot_say_is_null(output: Output, read: Any, capsys: pytest.CaptureFixture[str]) -> None:
    emit({"a": [float("nan"), 1.5], "b": (float("-inf"),)}, output, lambda: "")
    assert read(capsys.readouterr().out) == {"a": [None, 1.5], "b": [None]}
