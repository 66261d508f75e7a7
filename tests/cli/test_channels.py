"""The table of channels: one line each, and who stands out."""

from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from surreal.cli.ui.channel_table import channel_table
from surreal.orchestrator.run.channel_stats import ChannelStatus, EndStatus

SENDER = EndStatus(
    channel="experience",
    kind="stream",
    process="actor/0",
    incarnation=1,
    end="send",
    messages=10,
    bytes=1000,
    resent=0,
    duplicates=0,
    refused=0,
    dropped=0,
    blocked_seconds=0.0,
    depth=3,
    messages_per_second=1234.56,
    bytes_per_second=2e6,
    blocked_share=0.001,
)


def printed(width: int, *ends: EndStatus) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(channel_table([ChannelStatus("experience", "stream", ends)]))
    return capture.get()


def test_a_quiet_channel_names_nobody() -> None:
    assert printed(120, SENDER).splitlines()[1].split() == [
        "experience",
        "1,234.6",
        "2.00",
        "0",
        "0",
        "0",
        "0",
        "0",
        "%",
        "3",
    ]


def test_the_process_that_stands_out_is_named() -> None:
    other = replace(SENDER, process="actor/7", refused=12, dropped=5, blocked_share=0.82)
    line = printed(120, SENDER, other).splitlines()[1]
    assert line.split("  ")[0] == "experience"
    for cell in ("12 (actor/7)", "5 (actor/7)", "82 % (actor/7)", " 2,469.1 ", " 4.00 "):
        assert cell in line


@pytest.mark.parametrize("width", [80, 200])
def test_headers_are_whole_on_any_terminal(width: int) -> None:
    other = replace(SENDER, process="actor/12", blocked_share=0.82, refused=1)
    header, *lines = printed(width, SENDER, other).splitlines()
    assert header.split() == ["CHANNEL", "MSG/S", "MB/S", "RESENT", "DUPS", "REFUSED", "DROPPED", "BLOCKED", "DEPTH"]
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_a_narrow_terminal_shows_all_of_all_columns(width: int) -> None:
    end = replace(SENDER, resent=123, duplicates=45, refused=678, dropped=90, blocked_share=0.82, process="actor/12")
    for ends in ((SENDER,), (SENDER, end)):
        shown, whole = (Counter("".join(printed(columns, *ends).split())) for columns in (width, 200))
        assert shown == whole
