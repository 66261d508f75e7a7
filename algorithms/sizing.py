"""What an algorithm can say about the size of a run before it begins."""

from typing import NamedTuple


class Sizing(NamedTuple):
    """Sentences for the person who plans a run."""

    notes: tuple[str, ...] = ()
    """What to expect."""
    warnings: tuple[str, ...] = ()
    """What to change."""
