"""Tables that fit a narrow terminal: what is one word stays whole, and is never cut."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Column, Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

WHOLE = 0.75
"""Most of a line that columns of single words take; the others fold in the rest."""


class Rows(Table):
    """A table in the style of all commands: no lines, bold capital headers."""

    def __init__(self, headers: Iterable[str]) -> None:
        """Make it empty."""
        columns = [Column(header.upper(), overflow="fold") for header in headers]
        super().__init__(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Choose the columns that are not folded, from the first on: names are copied into the next command."""
        left = WHOLE * options.max_width
        for column in self.columns:
            cells = [_text(cell) for cell in (column.header, *column.cells)]
            width = max(map(cell_len, cells)) + 2
            if not any(" " in cell for cell in cells) and width <= left:
                column.no_wrap, left = True, left - width
        yield from super().__rich_console__(console, options)


def _text(cell: "RenderableType") -> str:
    return str(getattr(cell, "plain", cell))
