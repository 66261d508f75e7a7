"""What every place where experiments run can do, and how it is found by name.

Everything else treats all backends alike: nobody asks which one it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, did_you_mean

if TYPE_CHECKING:
    from surreal.orchestrator.experiment.model import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.run.usage import Usage


BACKENDS = {
    "local": "surreal.orchestrator.backends.local.backend:LocalBackend",
    "kube": "surreal.orchestrator.backends.kube.backend:KubeBackend",
}
"""Name -> class, imported when it is asked for and called with the Location."""
NOT_BUILT_YET = ("ray",)
HERE = Location()


class Backend(Protocol):
    """Runs experiments somewhere. Every method that takes a name raises NotFound for one that does not exist."""

    look_seconds: float
    """How often somebody who watches a run may ask for its status."""

    def settle(self, plan: Plan) -> Plan:
        """The plan with what only this place knows: where the run folder will lie. Starts nothing."""

    def create(self, experiment: Experiment, plan: Plan, code: Path) -> None:
        """Start a run; `code` is the folder of the experimenter's own modules. Returns once it is under way.

        Raises InvalidInput, with nothing started, when the name is taken.
        """

    def rehearse(self, experiment: Experiment, plan: Plan, code: Path, ask: bool) -> list[str]:
        """What `create` would make, one line each, with nothing made. Raises as `create` does.

        `ask` has the place itself check it, as far as it can without making it.
        """

    def names(self) -> list[str]:
        """The experiments there are."""

    def status(self, name: str) -> Status:
        """One run as it is now."""

    def usage(self, name: str) -> Usage:
        """What its processes use of what they asked for, over the last seconds."""

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """The log lines of all attempts of one process, one role or (None) all, merged by time, newest last.

        `tail` keeps only so many of the last lines; `follow` goes on with new ones until the run is over.
        Raises NotFound for a source that the run does not have.
        """

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command beside the process ROLE/INDEX, or the first of ROLE, in its environment: its exit code.

        stdin, stdout and stderr are this process's; `tty` says that they are a terminal.
        """

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Make port `remote` of a process port `local` (0: any) of this machine, until that process ends.

        `ready` is told the local port.
        """

    def curves(self, name: str) -> AbstractContextManager[Path]:
        """A folder on this machine with the metrics of a run, kept up to date within seconds."""

    def stop(self, name: str) -> bool:
        """Have every process save and end. Returns when all are gone; False if nothing ran."""

    def resume(self, name: str) -> None:
        """Continue a stopped or failed run from its last checkpoint. Raises InvalidInput for any other."""

    def delete(self, name: str) -> None:
        """End every process of the run at once and remove all it wrote."""


def backend(where: Location = HERE) -> Backend:
    """The backend that `where` says. Raises InvalidInput that lists the known ones."""
    name = where.backend
    if name in NOT_BUILT_YET:
        raise InvalidInput(f"--on {name} is not built yet; what there is: {', '.join(BACKENDS)}")
    if name not in BACKENDS:
        hint = did_you_mean(name, (*BACKENDS, *NOT_BUILT_YET))
        raise InvalidInput(f"--on {name}: no such backend{hint}; what there is: {', '.join(BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    found: Backend = getattr(import_module(module), attribute)(where)
    return found
