"""The status document: what `surreal status NAME -o json` prints, the same for every backend and kept stable.

Fields are only ever added. A number that is not known yet is null.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from surreal.orchestrator.run.channel_stats import ChannelStatus
from surreal.orchestrator.run.home import tail_lines
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress

State = Literal["pending", "running", "succeeded", "failed", "stopped"]
ProcessState = Literal["pending", "running", "restarting", "done", "failed", "stopped"]

OUTCOMES: dict[State, ExitCode] = {
    "succeeded": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "stopped": ExitCode.STOPPED,
}
"""The states in which a run is over, and the exit code that tells each to a script."""

TAIL_BYTES = 64 * 1024
"""How much of the end of metrics.jsonl is read for the newest rows; a row is below 2 kB."""


@dataclass(frozen=True)
class ProcessStatus:
    """One process of the run."""

    index: int
    state: ProcessState
    restarts: int
    """Starts after the first, since the run was created or resumed."""
    pid: int | None
    """Null when it does not run."""
    node: str
    """The machine it runs on."""
    reason: str = ""
    """Why it waits, where it does and that is known."""


@dataclass(frozen=True)
class Status:
    """A run at one moment."""

    name: str
    backend: str
    folder: str
    """Where its metrics and checkpoints are."""
    state: State
    reason: str = ""
    """Why it is in this state; empty while there is nothing to say."""
    created: str = ""
    """When it was created, ISO 8601 in UTC."""
    progress: Progress = Progress()
    roles: dict[str, tuple[ProcessStatus, ...]] = field(default_factory=dict)
    channels: tuple[ChannelStatus, ...] = ()

    @property
    def over(self) -> bool:
        """Nothing runs any more."""
        return self.state in OUTCOMES

    def document(self) -> dict[str, Any]:
        """The stable document: flat, plain data in the order in which a person reads it."""
        fields = {key: value for key, value in asdict(self).items() if key not in ("progress", "roles", "channels")}
        eta = 0.0 if self.state == "succeeded" else self.progress.eta_seconds
        roles = {role: [asdict(process) for process in processes] for role, processes in self.roles.items()}
        channels = [channel.document() for channel in self.channels]
        return {**fields, **asdict(self.progress), "eta_seconds": eta, "roles": roles, "channels": channels}


def read_progress(metrics: Path) -> Progress:
    """The progress said by the newest rows of a metrics.jsonl, of which only the end is read."""
    return progress_of(tail_lines(metrics, TAIL_BYTES))


def progress_of(lines: Sequence[bytes]) -> Progress:
    """The progress said by the last lines of a metrics.jsonl, the first perhaps cut."""
    learner, evaluator = _newest_rows(lines)
    row = {**learner, "eval_return": evaluator.get("eval_return")}
    return Progress(**{key: row[key] for key in Progress.__dataclass_fields__ if _is_number(row.get(key))})


def _newest_rows(lines: Sequence[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest row with steps (the learner's) and the newest with an evaluation; empty where there is none."""
    learner: dict[str, Any] = {}
    evaluator: dict[str, Any] = {}
    for line in reversed(lines):
        row = _row(line)
        if not learner and "steps" in row and "updates" in row:
            learner = row
        if not evaluator and "eval_return" in row:
            evaluator = row
        if learner and evaluator:
            break
    return learner, evaluator


def _is_number(value: Any) -> bool:
    """NaN and infinity are none: JSON has no word for them."""
    return isinstance(value, int | float) and math.isfinite(value)


def _row(line: bytes) -> dict[str, Any]:
    """A line of metrics.jsonl; empty for one that is cut (just being written, or by a crash)."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}
