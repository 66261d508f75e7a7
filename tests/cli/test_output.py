"""How commands print: colour only where a person looks, brackets as they are, whole lines into a pipe."""

import io
import json

import pytest
import yaml

from surreal.cli.ui.output import Output, console, emit, table, talk

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
    assert row.split() == ["x" * 300, "[red]running"]


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
