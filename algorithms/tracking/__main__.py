"""The process that tracks one run: it follows the rows in the run folder until its standard input ends.

The process that writes the rows starts it, and says on its standard input what to do and how the run ended. It never
writes to the run but its own notes, so whatever a tracker or a network does costs no step.
"""

import json
import logging
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from surreal.algorithms.tracking.notes import Notes
from surreal.algorithms.tracking.trackers import TRACKERS, Tracker

log = logging.getLogger("surreal.tracking")
INTERVAL_S = 2.0
"""Seconds between two looks at the rows."""


def main() -> int:
    """Track the run that the first line of standard input describes. Return 0, or 1 if no tracker could be opened."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # Ctrl-C is for the run; this process ends when its input does, after the last rows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    about = json.loads(sys.stdin.readline())
    notes = Notes(Path(about["folder"]))
    opened = list(_open(about, notes))
    while (outcome := _said(sys.stdin)) is None:
        _send(opened, notes)
    _send(opened, notes)
    for tracker in opened:
        _safely(tracker, "close", outcome)
    return 0 if opened else 1


def _open(about: dict[str, dict[str, dict[str, object]]], notes: Notes) -> Iterator[Tracker]:
    for kind, settings in about["track"].items():
        try:
            yield TRACKERS[kind](settings, about, notes.of(kind))
        except Exception as error:
            # A wrong key, a server that is away, a package that is not there: each has errors of its own.
            log.warning("spec.track.%s: nothing is written: %s: %s", kind, type(error).__name__, error)


def _said(source: TextIO) -> str | None:
    """Return how the run ended, or None if nothing is said of it for a while. A writer that died said nothing."""
    if not select.select([source], [], [], INTERVAL_S)[0]:
        return None
    return source.readline().strip() or "stopped"


def _send(trackers: list[Tracker], notes: Notes) -> None:
    notes.look(tracker.kind for tracker in trackers)
    for tracker in trackers:
        while (rows := notes.unsent(tracker.kind)) and _safely(tracker, "write", rows):
            notes.sent(tracker.kind, rows)


def _safely(tracker: Tracker, verb: str, argument: object) -> bool:
    try:
        getattr(tracker, verb)(argument)
    except Exception as error:
        log.warning("spec.track.%s: cannot %s now: %s: %s", tracker.kind, verb, type(error).__name__, error)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
