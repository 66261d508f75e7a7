"""Tables that fit a narrow terminal: what is one word stays whole as long as it has room, and is never cut."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Column, Table

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

WHOLE = 0.75
"""Most of a line that columns of single words take; the others fold in the rest."""
GAP = 2
"""Spaces after each column."""
LEAST = 2
"""Width that each other column is left with, one wide character: rich leaves out columns that get none."""


class Rows(Table):
    """A table in the style of all commands: no lines, bold capital headers."""

    def __init__(self, headers: Iterable[str], stacks: bool = False) -> None:
        """Make it empty. With `stacks` the last column goes below the one before it where words would be folded."""
        columns = [Column(header.upper(), overflow="fold") for header in headers]
        super().__init__(*columns, box=None, pad_edge=False, padding=(0, GAP, 0, 0))
        self._stacks = stacks

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Choose the columns that are not folded, from the first on: names are copied into the next command."""
        room = options.max_width
        if self._stacks and sum(map(_longest_word, self.columns)) + GAP * len(self.columns) > room:
            yield from self._stacked().__rich_console__(console, options)
            return
        left, spare = WHOLE * room, room - (LEAST + GAP) * len(self.columns)
        for column in self.columns:
            width = _width(column) + GAP
            more = max(0, width - LEAST - GAP)
            if not any(" " in text for text in _texts(column)) and width <= left and more <= spare:
                column.no_wrap, left, spare = True, left - width, spare - more
        self._keep_words_whole(room)
        yield from super().__rich_console__(console, options)

    def _stacked(self) -> "Rows":
        """Return the same rows with one column less."""
        *kept, last = self.columns
        table = Rows([*(str(column.header) for column in kept[:-1]), f"{kept[-1].header}, {last.header}"])
        for *cells, above, below in zip(*(column.cells for column in self.columns), strict=True):
            table.add_row(*cells, "\n".join(filter(None, (_text(above), _text(below)))))
        return table

    def _keep_words_whole(self, room: int) -> None:
        """Give columns that fold what their longest words take, and share what is left; rich folds within words."""
        least = [_width(column) if column.no_wrap else _longest_word(column) for column in self.columns]
        most = [_width(column) for column in self.columns]
        left = room - GAP * len(most) - sum(least)
        if left >= 0:
            for column, width in zip(self.columns, _shared(least, most, left), strict=True):
                column.width = width


def _shared(least: Sequence[int], most: Sequence[int], left: int) -> list[int]:
    """Return widths from `least` to `most`, with `left` columns of the terminal shared: those that need few first."""
    widths = list(least)
    wanting = sorted(range(len(least)), key=lambda each: most[each] - least[each])
    for done, each in enumerate(wanting):
        given = min(most[each] - least[each], left // (len(wanting) - done))
        widths[each], left = widths[each] + given, left - given
    return widths


def _texts(column: Column) -> list[str]:
    return [_text(cell) for cell in (column.header, *column.cells)]


def _width(column: Column) -> int:
    """Return the length of the longest line of a column."""
    return max(cell_len(line) for text in _texts(column) for line in text.split("\n"))


def _longest_word(column: Column) -> int:
    return max(cell_len(word) for text in _texts(column) for word in text.split() or [""])


def _text(cell: "RenderableType") -> str:
    return str(getattr(cell, "plain", cell))
