"""status.json: what the supervisor knows, written by it alone and read by every command.

It holds what must outlive the supervisor: each process's incarnation, and who to look for when the supervisor is gone.
"""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from surreal.orchestrator.run.home import Folder, read_json, write_json
from surreal.orchestrator.run.status import ProcessState, State
from surreal.protocol.graph import ProcessName

if TYPE_CHECKING:
    from surreal.orchestrator.plan.model import Plan


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
    """When that process was born, so that a pid given away again is never mistaken for it."""

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
    processes: list[ProcessRecord] = field(default_factory=list)

    def write(self, folder: Folder) -> None:
        """Replace the record on disk atomically."""
        write_json(folder.status, asdict(self))

    @classmethod
    def read(cls, folder: Folder) -> "RunRecord":
        """The newest record; an empty one before the first was written; a failed one when it makes no sense."""
        try:
            data = read_json(folder.status)
            processes = [ProcessRecord(**process) for process in data.pop("processes")]
            return cls(**data, processes=processes)
        except FileNotFoundError:
            return cls()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return cls("failed", f"{folder.status} was written by another version of surreal, or damaged: {error!r}")


def processes_of(plan: "Plan") -> list[ProcessRecord]:
    """Every process of a plan, not yet started, in the plan's order."""
    return [ProcessRecord(role.name, index) for role in plan.roles for index in range(role.replicas)]
