"""Termination message: how a process ended, in one line of JSON that outlives its pod."""

import json
import logging
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from surreal.protocol.errors import ExitCode

log = logging.getLogger("surreal")

MAX_BYTES = 4096
"""Kubernetes keeps no more of a pod's last words."""
OUTCOME_FILE = "outcome.json"
"""File of the run folder in which the process that ends a run in a cluster says how, once it is over."""
CUT = "..."
LAST_WORDS = "its last words: "
"""Before what a process that a signal ended had printed last."""


@dataclass(frozen=True)
class TerminationMessage:
    """The end of a process, as its worker or PID 1 recorded it."""

    exit: str
    """Name of its ExitCode, or of the signal that it died of."""
    reason: str = ""
    """A sentence; empty where there is nothing to say."""
    progress: dict[str, float] = field(default_factory=dict)
    """Progress of the run; only of the process that ends it."""

    @property
    def code(self) -> ExitCode:
        """The exit status; FAILED for a signal."""
        return ExitCode[self.exit] if self.exit in ExitCode.__members__ else ExitCode.FAILED

    def line(self) -> str:
        """Return JSON of at most MAX_BYTES bytes; the reason is cut where it must be."""
        text, reason = json.dumps(asdict(self)), self.reason
        while len(text) > MAX_BYTES and reason:
            reason = reason[: len(reason) * 3 // 4]
            text = json.dumps(asdict(replace(self, reason=reason + CUT)))
        return text

    def write(self, path: Path) -> None:
        """Leave it at `path`. Raises OSError."""
        path.write_text(self.line() + "\n")

    @classmethod
    def parse(cls, text: str) -> "TerminationMessage | None":
        """Return the message that `write` wrote; None for any other text, such as the last lines of a log."""
        try:
            data = json.loads(text)
            progress = {str(name): float(value) for name, value in data["progress"].items()}
            return cls(str(data["exit"]), str(data["reason"]), progress)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            return None


def leave_outcome(run_folder: Path, message: TerminationMessage) -> None:
    """Write the outcome of a run that is over into its folder, which outlives the objects of a cluster."""
    path = run_folder / OUTCOME_FILE
    try:
        if message.code in (ExitCode.DONE, ExitCode.FATAL, ExitCode.INVALID, ExitCode.STOPPED):
            message.write(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot write %s: %s", path, error)


EQUAL_CRASHES = 3
"""Equal crashes of one process before the first step of the run that fail the run."""


class Crashes:
    """Crashes of each process in a row."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def note(self, process: str, reason: str) -> bool:
        """Note a crash; return True if it was the last of EQUAL_CRASHES equal ones."""
        # Numbers and addresses differ from one start to the next, and mean nothing here.
        kind = re.sub(r"0x[0-9a-f]+|\d+", "#", reason)
        known, times = self._last.get(process, ("", 0))
        times = times + 1 if kind == known else 1
        self._last[process] = kind, times
        return times >= EQUAL_CRASHES
