"""Files of a run of this machine: the supervisor's record, the plan, and what the run was started with.

The record (status.json) is written by the supervisor alone and read by every command. It holds what must outlive the
supervisor: the incarnation of each process, and the pids to look for when the supervisor is gone. A full disk cannot
take a new file, so there is a spare record whose room was taken when the run began.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from surreal.orchestrator.run.home import Folder, read_json, write_files, write_json
from surreal.orchestrator.run.provenance import changed_versions, now, versions
from surreal.orchestrator.run.status import ProcessState, State
from surreal.orchestrator.supervision.log_pump import LogWriter
from surreal.protocol.errors import InvalidInput
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
    node: str = ""
    """The machine it runs on; empty for the run's own."""
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

    @classmethod
    def next_attempt(cls, folder: Folder, plan: "Plan", node: str) -> "RunRecord":
        """Return the record of a supervisor that begins: nothing runs yet, and incarnations go on where they were."""
        earlier = cls.read(folder)
        before = {process.name: process.incarnation for process in earlier.processes}
        processes = [replace(each, incarnation=before.get(each.name, 0)) for each in processes_of(plan)]
        ending = next(role.name for role in plan.roles if role.ends_run)
        return cls("running", node=node, ends_run=ending, processes=processes, number=earlier.number)

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
        """Take the room for `write_spare`. Raises OSError, with the spare record as it was, where the disk lacks it."""
        write_files({folder.spare_status: " " * (2 * len(json.dumps(asdict(self))) + SPARE_BYTES)})

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


def read_plan(folder: Folder) -> "Plan":
    """Return the plan of a run. Raises InvalidInput, which names the file, for a foreign or damaged one."""
    # Both are slow to import, and a look at a run needs no plan.
    from pydantic import ValidationError

    from surreal.orchestrator.plan.model import Plan

    try:
        return Plan.from_json(folder.plan.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{folder.plan}: {_said(error)}. Remove the run: surreal delete {folder.name}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise InvalidInput(
            f"{folder.plan}: {f'{key}: ' if key else ''}{problem['msg']}. It is damaged, "
            f"or of another version of surreal: use that version, or surreal delete {folder.name}"
        ) from None


def read_provenance(folder: Folder) -> dict[str, Any]:
    """Return what the run was started with. Raises InvalidInput, which names the file, for a damaged one."""
    try:
        data = read_json(folder.provenance)
        if isinstance(data, dict) and isinstance(data.get("code"), str):
            return data
        problem = "is no record of a run"
    except (OSError, ValueError) as error:
        problem = _said(error)
    raise InvalidInput(f"{folder.provenance}: {problem}. Remove the run: surreal delete {folder.name}")


def code_folder(folder: Folder, plan: "Plan") -> str:
    """Return the folder of the experimenter's own modules. Raises InvalidInput where no file says it."""
    return str(folder.code) if plan.code else str(read_provenance(folder)["code"])


def note_versions(folder: Folder, plan: "Plan", accept_changes: bool) -> None:
    """Say in the log of the supervisor which versions a resumed run goes on with, if those are other ones.

    Raises InvalidInput where the run promised equal numbers, unless the person accepts the change.
    """
    environment = str(plan.env.get("id", ""))
    recorded = read_provenance(folder)
    changes = changed_versions(recorded, environment)
    if not changes:
        return
    if (promise := _promise(plan)) and not accept_changes:
        raise InvalidInput(
            f"{folder.name}: {', '.join(changes)} since it was created, and {promise} promises equal numbers. "
            f"Install the versions it had, or go on with others: surreal resume {folder.name} --accept-changes"
        )
    resumed = [*recorded.get("resumed", []), {"at": now(), "versions": versions(environment)}]
    write_json(folder.provenance, {**recorded, "resumed": resumed})
    log = LogWriter(folder.supervisor_segment)
    log.write(f"{datetime.now():%H:%M:%S.%f}"[:-3].encode() + f" WARNING resumed with {', '.join(changes)}\n".encode())
    log.close()


def _promise(plan: "Plan") -> str:
    """Return the setting by which a run promises the same numbers each time; empty if it does not."""
    if "deterministic" in plan.config:
        return "deterministic: true" if plan.config["deterministic"] else ""
    return "max_staleness: 0" if plan.config.get("max_staleness") == 0 else ""


def _said(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else f"damaged ({error})"
