"""Notes of what was sent: `track.json` in the run folder, by which a restarted run goes on in the same place."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from surreal.algorithms.recording.disk import replace_file
from surreal.algorithms.recording.follow import RowFollower
from surreal.algorithms.recording.rows import Row

FILE = "track.json"
BATCH = 5_000
"""Rows that are sent at once."""


class Notes:
    """The rows of a run, and which of them each tracker has."""

    def __init__(self, folder: Path) -> None:
        """Take the run folder."""
        self._folder = folder
        try:
            known = json.loads((folder / FILE).read_text())
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, dict[str, Any]] = known if isinstance(known, dict) else {}
        self._follower = RowFollower(folder)
        self._waiting: dict[str, list[Row]] = {}

    def of(self, kind: str) -> dict[str, Any]:
        """Return what a tracker wants to be told again after a restart; it may write into it."""
        return self._known.setdefault(kind, {})

    def unsent(self, kind: str) -> list[Row]:
        """Return the next rows that a tracker does not have yet, oldest first."""
        return self._waiting.get(kind, [])[:BATCH]

    def look(self, kinds: Iterable[str]) -> None:
        """Read the rows that are new, for trackers of these kinds."""
        anew, rows = self._follower.new()
        for kind in kinds:
            after = float(self.of(kind).get("sent", 0.0))
            kept = [] if anew else self._waiting.get(kind, [])
            self._waiting[kind] = kept + [row for row in rows if row.get("time", 0.0) > after]

    def sent(self, kind: str, rows: list[Row]) -> None:
        """Note that a tracker has these rows. Raises nothing: on a full disk they are sent again after a restart."""
        self._waiting[kind] = self._waiting[kind][len(rows) :]
        self.of(kind)["sent"] = max(float(row.get("time", 0.0)) for row in rows)
        try:
            replace_file(self._folder / FILE, json.dumps(self._known))
        except OSError:
            return
