"""The channels of a run as a table: one line each, with the process that stands out."""

from typing import TYPE_CHECKING

from surreal.cli.ui import output as words
from surreal.cli.ui.output import table
from surreal.orchestrator.run.channel_stats import COUNTS, ChannelStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table


SHORT = {"duplicates": "dups"}
"""So that a line fits on 80 columns."""
NOTICEABLE = 0.005
"""Share of waiting from which its process is named."""


def channel_table(channels: "Sequence[ChannelStatus]") -> "Table":
    """Return one line for each channel; docs/observability.md explains the numbers."""
    rows = table("channel", "msg/s", "MB/s", *(SHORT.get(count, count) for count in COUNTS), "blocked", "depth")
    for channel in channels:
        bytes_per_second = channel.flow("bytes_per_second")
        rows.add_row(
            channel.name,
            words.number(channel.flow("messages_per_second"), 1),
            words.number(None if bytes_per_second is None else bytes_per_second / 1e6, 2),
            *(_count(channel, count) for count in COUNTS),
            _blocked(channel),
            words.number(channel.flow("depth")),
        )
    return rows


def _count(channel: ChannelStatus, count: str) -> str:
    return words.number(channel.total(count)) + _who(channel, count)


def _blocked(channel: ChannelStatus) -> str:
    share = channel.blocked_share
    if share is None:
        return words.UNKNOWN
    return f"{100 * share:.0f} %" + (_who(channel, "blocked_share") if share >= NOTICEABLE else "")


def _who(channel: ChannelStatus, number: str) -> str:
    """Return the process with the most in brackets; empty if none has any."""
    worst = channel.worst(number)
    return f" ({worst.process})" if worst else ""
