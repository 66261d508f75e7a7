"""Profile of a run: the breakdowns of its processes and roles, the critical path, and what to change first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surreal.orchestrator.profiling.advice import advise, bounding_role
from surreal.orchestrator.profiling.breakdown import Breakdown, break_down, by_role
from surreal.orchestrator.profiling.critical_path import Path as CriticalPath
from surreal.orchestrator.profiling.critical_path import critical_path
from surreal.orchestrator.profiling.timelines import Timeline, dropped_chunks, read_timelines
from surreal.protocol.errors import SurrealError

SHORT_S = 2.5
"""Seconds by which a profile may be shorter than asked: the run begins it within two."""
LEAST_NS = 1_000_000
"""Length from which a record tells something."""


@dataclass(frozen=True)
class Profile:
    """Measurements of a run, and what follows from them."""

    run: str
    timelines: Sequence[Timeline]
    processes: Sequence[Breakdown]
    roles: dict[str, Breakdown]
    path: CriticalPath | None
    advice: Sequence[str]
    notes: Sequence[str]
    """Sentences on what is missing, and how exact the rest is."""

    @classmethod
    def read(cls, run: str, folder: Path, seconds: float = 0.0) -> "Profile":
        """Return the profile in a folder, and say if it is shorter than the `seconds` that were asked for.

        Raises SurrealError where no process recorded anything.
        """
        timelines = [each for each in read_timelines(folder) if each.wall > LEAST_NS]
        if not timelines:
            raise SurrealError(f"{run}: no process recorded anything. See whether it runs: surreal status {run}")
        found = cls.of(run, timelines, dropped_chunks(folder))
        recorded = max(each.wall for each in timelines) / 1e9
        if recorded > seconds - SHORT_S:
            return found
        short = f"{recorded:.1f} of {seconds:g} s were recorded: the run ended, or was stopped, meanwhile"
        return replace(found, notes=[short, *found.notes])

    @classmethod
    def of(cls, run: str, timelines: Sequence[Timeline], dropped: int = 0) -> "Profile":
        """Return the profile that the timelines of a run make."""
        processes = [break_down(timeline) for timeline in timelines]
        roles = by_role(processes)
        notes = [note for timeline in timelines for note in timeline.notes]
        if dropped:
            notes.append(f"{dropped:,} pieces of the profile were dropped, for it was too large")
        return cls(
            run, timelines, processes, roles, critical_path(timelines), advise(roles), [*notes, *_exactness(timelines)]
        )

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "run": self.run,
            "seconds": round(max(each.wall for each in self.processes), 3),
            "bounding_role": bounding_role(self.roles),
            "roles": [role.to_data() for role in self.roles.values()],
            "processes": [process.to_data() for process in self.processes],
            "critical_path": None
            if self.path is None
            else {"updates": self.path.updates, "seconds": {k: round(v, 6) for k, v in self.path.seconds.items()}},
            "overhead": {
                "seconds": {each.name: round(each.profiler, 6) for each in self.processes},
                "nanoseconds_per_event": {each.process: each.costs for each in self.timelines},
            },
            "advice": list(self.advice),
            "notes": list(self.notes),
        }


def _exactness(timelines: Sequence[Timeline]) -> list[str]:
    errors = [each.clock_error for each in timelines if each.clock_error >= 0]
    unmeasured = dict.fromkeys(each.process for each in timelines if each.clock_error < 0)
    notes = [f"clocks agree within {max(errors) / 1e6:.2f} ms"] if errors else []
    if unmeasured:
        notes.append(f"the clocks of {', '.join(unmeasured)} were not measured: their spans may be shifted")
    return notes
