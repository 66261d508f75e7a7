"""The supervisor's record of a run: status.json, written by it alone and read by every command.

It holds what must outlive the supervisor: the incarnation of each process, and the pids to look for when the supervisor
is gone. A full disk cannot take a new file, so there is a spare one whose room was taken when the run began.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from surreal.orchestrator.run.home import Folder, read_json, write_json
from surreal.orchestrator.run.status import ProcessState, State
from surreal.protocol.graph import ProcessName

if TYPE_CHECKING:
    from surreal.orchestrator.plan.model import Plan

SPARE_BYTES = 16 * 1024
"""Room that is kept beyond twice the size of a record."""


@dataclass
class ProcessRecord:
    """One process of the run."""

    role: str
    index: int
    state: ProcessState = "pending"
    incarnation: int = 0
    """Grows with every start, over restarts and resumes."""
    restarts: int = 0
    """Starts after the first since the supervisor began."""
    pid: int | None = None
    """Also the id of its process group; None when it does not run."""
    born: str | None = None
    """Birth of that process, so that a pid given away again is never mistaken for it."""
    started: float | None = None
    """Time of its last start, seconds since 1970 in UTC."""
    reason: str = ""
    """The reason of its last failure or of its wait; empty once it works again."""
    since: float | None = None
    """Since when it is stuck there, seconds since 1970 in UTC; None for a failure."""

    @property
    def name(self) -> str:
        """`actor/3`."""
        return str(ProcessName(self.role, self.index))


@dataclass
class RunRecord:
    """The run and all its processes."""

    state: State = "pending"
    reason: str = ""
    node: str = ""
    supervisor: int | None = None
    """Its pid while it lives."""
    born: str | None = None
    sockets: str = ""
    """Folder of the ipc sockets, outside of the experiment's: their paths must be short."""
    ends_run: str = ""
    """The role that ends the run; its first process writes the figures."""
    processes: list[ProcessRecord] = field(default_factory=list)
    number: int = 0
    """Grows with every write: of two records the larger is the newer one."""
    disk: str = ""
    """The reason why files of the run cannot be written; empty while they can."""

    def write(self, folder: Folder) -> None:
        """Replace the record on disk atomically."""
        write_json(folder.status, asdict(self))

    def write_spare(self, folder: Folder) -> None:
        """Write the record in place, into the room that `reserve` took. Raises OSError."""
        text = json.dumps(asdict(self)).encode()
        with folder.spare_status.open("r+b") as file:
            room = max(file.seek(0, 2), len(text))
            file.seek(0)
            file.write(text.ljust(room))

    def reserve(self, folder: Folder) -> None:
        """Take the room for `write_spare`, as far as the disk has it."""
        with suppress(OSError):
            folder.spare_status.write_bytes(b" " * (2 * len(json.dumps(asdict(self))) + SPARE_BYTES))

    @classmethod
    def read(cls, folder: Folder) -> "RunRecord":
        """Return the newest record; an empty one before the first was written; a failed one for damaged files."""
        found = [record for record in (_spare(folder), _main(folder)) if record]
        return max(found, key=lambda record: (record.number, record.state != "failed"), default=cls())


def _main(folder: Folder) -> RunRecord | None:
    try:
        return _parse(read_json(folder.status))
    except FileNotFoundError:
        return None
    except OSError as error:
        return RunRecord("failed", f"{folder.status} cannot be read: {error.strerror}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        words = f"{folder.status} was written by another version of surreal, or damaged: {error!r}"
        return RunRecord("failed", f"{words}; surreal delete {folder.name} removes the run")


def _spare(folder: Folder) -> RunRecord | None:
    """Return the spare record; None where it was never used."""
    try:
        return _parse(read_json(folder.spare_status))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _parse(data: Any) -> RunRecord:
    processes = [ProcessRecord(**process) for process in data.pop("processes")]
    return replace(RunRecord(**data), processes=processes)


def processes_of(plan: "Plan") -> list[ProcessRecord]:
    """Return every process of a plan, not yet started, in the plan's order."""
    return [ProcessRecord(role.name, index) for role in plan.roles for index in range(role.replicas)]
