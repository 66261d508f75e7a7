"""Numbers and states as a person reads them, the same in the live view, in plain lines and in tables."""

from datetime import UTC, datetime

from surreal.orchestrator.run.describe import UNKNOWN, duration, line, number, role, speed, steps
from surreal.orchestrator.run.status import Status

__all__ = ["COLOURS", "UNKNOWN", "age", "duration", "facts", "line", "number", "role", "speed", "steps"]

COLOURS = {"pending": "yellow", "running": "cyan", "succeeded": "green", "failed": "red", "stopped": "yellow"}
"""State -> colour on a terminal."""


def age(created: str) -> str:
    """Return the time since an ISO 8601 moment: `12s`, `5m`, `3h`, `2d`."""
    if not created:
        return UNKNOWN
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"


def facts(status: Status) -> dict[str, str]:
    """Return a run as labelled facts, for a table."""
    now = status.progress
    return {
        "steps": steps(now),
        "speed": speed(status),
        "return": number(now.episode_return, 1),
        "eval return": number(now.eval_return, 1),
        "staleness": number(now.staleness, 2),
        "updates": number(now.updates),
        "elapsed": duration(now.elapsed),
        "left": duration(now.eta_seconds) if not status.over else UNKNOWN,
    }
