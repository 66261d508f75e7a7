"""Documents of the page: plain data about runs, made of what the verbs `list`, `status`, `plan` and `logs` say."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.page.curves import Curves
from surreal.orchestrator.page.question import Question
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import NotFound, SurrealError

FRESH_S = 1.0
"""Seconds for which an answer of a place serves every reader."""
LOG_LINES = 300
"""Last lines of a log that are shown."""
SHORT = ("steps", "total_steps", "episode_return")
"""Progress that the list of runs shows."""
MANY = 8
"""Runs whose curves a page shows unasked."""
VIDEOS = "videos/"
"""Part of a run folder whose films are shown."""

Statuses = Callable[[], Iterable[Status]]
Find = Callable[[str], Run]


class Views:
    """Answers about a set of runs. Any thread may ask; nothing is changed."""

    def __init__(self, statuses: Statuses, find: Find, fresh: float = FRESH_S) -> None:
        """Take a function that returns all runs, one that finds one, and seconds for which an answer is good."""
        self._statuses, self._find, self._fresh = statuses, find, max(fresh, FRESH_S)
        self._known: dict[str, Status] = {}
        self._asked = float("-inf")
        self._curves: dict[str, Curves] = {}
        self._plans: dict[str, dict[str, Any]] = {}
        self._open = ExitStack()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let go of the folders of metrics."""
        self._open.close()

    def warm(self) -> None:
        """Read ahead the curves that a page shows unasked; what goes wrong is said to the first reader."""
        with suppress(SurrealError, OSError, ValueError):
            now = sorted(self._now().values(), key=lambda status: status.state != "running")
            for status in now[:MANY]:
                self._curves_of(status.name).refresh()

    def runs(self) -> list[dict[str, Any]]:
        """Return one short document for each run."""
        return [_short(status) for status in self._now().values()]

    def run(self, name: str) -> dict[str, Any]:
        """Return the status document of a run. Raises NotFound."""
        return self._status(name).document()

    def curves(self, asked: Question) -> Any:
        """Return the names of all curves of the runs that are asked for, and those curves that have grown.

        `curves` maps the name of a curve to the runs that have other points of it than the reader: `Curves.curve`. Runs
        that are gone are left out.
        """
        now = self._now()
        known = {name: self._curves_of(name) for name in asked.runs if name in now}
        names: set[str] = set()
        for curves in known.values():
            curves.refresh()
            names.update(curves.names())
        found: dict[str, Any] = {}
        for curve in asked.curves:
            marks = dict(zip(asked.runs, curve.marks, strict=False))
            found[curve.key] = {
                name: curves.curve(curve.key, curve.asked, marks.get(name, -1))
                for name, curves in known.items()
                if curves.mark(curve.key) != marks.get(name)
            }
        return {"names": sorted(names), "curves": found}

    def logs(self, name: str, source: str | None) -> list[dict[str, Any]]:
        """Return the last lines of a process, a role or all. Raises NotFound."""
        self._status(name)
        lines = self._find(name).logs(source or None, tail=LOG_LINES)
        return [{"source": line.source, "text": line.text} for line in lines]

    def video(self, name: str, file: str) -> Path | None:
        """Return a film of a run as a file of this machine; None if there is none of that name."""
        return next((path for path in self._films(name) if path.name == file), None)

    def videos(self, name: str) -> list[str]:
        """Return the names of the films of a run, oldest first. Raises NotFound."""
        return [path.name for path in self._films(name)]

    def _films(self, name: str) -> list[Path]:
        folder = Path(self._status(name).folder) / VIDEOS
        return sorted(folder.glob("*.mp4"), key=lambda path: path.stat().st_mtime)

    def _now(self) -> dict[str, Status]:
        """Return name -> status, asked at most once a second however many pages are open."""
        with self._lock:
            if time.monotonic() - self._asked > self._fresh:
                self._known = {status.name: status for status in self._statuses()}
                self._asked = time.monotonic()
            return self._known

    def _status(self, name: str) -> Status:
        known = self._now()
        if name not in known:
            raise NotFound(f"run: {name!r} is not on this page. It was deleted, or never was.")
        return known[name]

    def _curves_of(self, name: str) -> Curves:
        with self._lock:
            if name not in self._curves:
                folder = self._open.enter_context(self._find(name).metrics_folder())
                self._curves[name] = Curves(folder)
            return self._curves[name]

    def plan(self, name: str) -> dict[str, Any]:
        """Return the plan of a run as it was written; empty where it cannot be read now. Raises NotFound."""
        from surreal.orchestrator.plan.model import Plan

        self._status(name)
        if name not in self._plans:
            with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
                try:
                    self._find(name).backend.fetch(name, "plan.json", Path(folder))
                    plan = Plan.from_json((Path(folder) / "plan.json").read_text())
                except (SurrealError, OSError, ValueError):
                    return {}
            self._plans[name] = plan.to_data()
        return self._plans[name]


def _short(status: Status) -> dict[str, Any]:
    about = {key: getattr(status, key) for key in ("name", "backend", "state", "reason", "created")}
    progress = {key: getattr(status.progress, key) for key in SHORT}
    return {**about, "labels": dict(status.labels), **progress}


def views_of(names: Sequence[str], location: Location | None) -> Views:
    """Return the views of the runs `names`, found as every verb finds them; of all runs of a place without names.

    Raises NotFound for a name that no run has.
    """
    place = Client.at(location or Location())
    if not names:
        return Views(place.backend.statuses, place.get, place.backend.poll_interval)
    runs = {name: Run.find(name, location) for name in names}
    for run in runs.values():
        run.status()
    interval = max(run.backend.poll_interval for run in runs.values())
    return Views(lambda: _statuses(runs.values()), runs.__getitem__, interval)


def _statuses(runs: Iterable[Run]) -> Iterator[Status]:
    """Yield the statuses of the runs that are still there."""
    for run in runs:
        with suppress(NotFound):
            yield run.status()
