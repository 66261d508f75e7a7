"""Backend: the interface of every place where experiments run, and the table that finds one by name.

All code above this module treats backends alike; no other module tests which backend it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, did_you_mean

if TYPE_CHECKING:
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.run.usage import Usage
    from surreal.provisioner.pools.model import NodePool


BACKENDS = {
    "local": "surreal.orchestrator.backends.local.backend:LocalBackend",
    "kube": "surreal.orchestrator.backends.kube.backend:KubeBackend",
    "ray": "surreal.orchestrator.backends.ray.backend:RayBackend",
}
"""Name -> class, imported on first use and called with the Location."""
ENGINES = {"ray": "surreal.orchestrator.backends.kube.kuberay.backend:KubeRayBackend"}
"""Engine of a cluster, where it is not Jobs -> class."""
THIS_MACHINE = Location()


@dataclass(frozen=True)
class Manifest:
    """One object as `create` sends it."""

    file: str
    """File name that sorts in the order of creation: `03-job-cheetah-learner.yaml`."""
    text: str
    """YAML."""


@dataclass(frozen=True)
class Difference:
    """One object that differs from what the experiment file says."""

    kind: str
    name: str
    change: Literal["added", "changed", "recreated", "removed"]
    note: str
    """Reason why the server refuses the change; empty if it accepts it."""
    diff: str
    """Unified diff from the live object to the one of the file."""

    def to_data(self) -> dict[str, str]:
        """Return plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class Diff:
    """Comparison of an experiment with what runs now."""

    objects: int
    """Number of objects of the experiment."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Inventory:
    """Machines to plan for: at least one pool, and warnings about them."""

    pools: tuple[NodePool, ...]
    warnings: tuple[str, ...] = ()


class Backend(Protocol):
    """Interface to one place where experiments run.

    Methods that take the name of a run raise NotFound for one that does not exist. Only `create`, `stop`, `resume`,
    `delete` and `reconcile` change anything.
    """

    poll_interval: float
    """Seconds between two calls of `status` by a program that watches a run."""
    remote: bool
    """True if processes do not see the files of this machine: user code must travel as an archive."""

    def pools(self, cluster_file: Path | None, prices: Path | None) -> Inventory:
        """Return the machines of this place; `cluster_file` adds pools, bounds and prices, `prices` more prices.

        Raises InvalidInput for a file that is wrong or does not belong to this place, and SurrealError if the place
        does not answer.
        """

    def resolve(self, plan: Plan) -> Plan:
        """Return the plan with what only this place knows: where the run folder will be. Starts nothing."""

    def prepared(self) -> AbstractContextManager[None]:
        """Begin what `create` takes long for, beside what the caller does within; what was not used is given up."""

    def create(self, experiment: Experiment, plan: Plan, start: Path | None = None) -> None:
        """Start a run; return when it is under way.

        `start` is a folder with the checkpoint that it begins from. Raises InvalidInput, with nothing started, if the
        name is taken, and where a place cannot take a checkpoint.
        """

    def dry_run(self, experiment: Experiment, plan: Plan, *, server: bool) -> list[str]:
        """Return one line for each thing that `create` would make, and make nothing. Raises as `create` does.

        With `server` the place itself checks each object, as far as it can.
        """

    def render(self, experiment: Experiment, plan: Plan, *, with_keys: bool, offline: bool) -> list[Manifest]:
        """Return the objects that `create` would send. Raises InvalidInput where a place has no objects.

        `with_keys` makes new secret keys; otherwise their places stay empty. `offline` asks no server.
        """

    def diff(self, experiment: Experiment, plan: Plan) -> Diff:
        """Compare the experiment with the live objects of its name. Raises InvalidInput if a place has no objects."""

    def check(self) -> list[Check]:
        """Check what this place has of what experiments need. Changes nothing."""

    def names(self) -> list[str]:
        """Return the names of all runs, sorted."""

    def status(self, name: str) -> Status:
        """Return the state of one run now. Writes nothing."""

    def statuses(self) -> Iterable[Status]:
        """Return the state of every run, sorted by name, in as few questions as there can be. Writes nothing.

        A run that is deleted meanwhile is left out; one that cannot be read has that as its reason.
        """

    def reconcile(self, name: str) -> None:
        """Tidy up after a run that is over: end leftover processes and record the outcome. Errors are ignored.

        Reading verbs never call this; `wait`, `stop`, `resume`, `delete` and a watched `create` do.
        """

    def usage(self, name: str) -> Usage:
        """Return the resources that each process used over the last seconds."""

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield log lines of all attempts of one process, one role or (None) all, merged by time, newest last.

        `tail` limits them to the last lines; `follow` continues with new lines until the run is over. Raises NotFound
        for a source that the run does not have.
        """

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command in the environment of the process ROLE/INDEX, or the first of ROLE; return its exit code.

        It inherits stdin, stdout and stderr; `tty` says that they are a terminal.
        """

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Forward port `local` (0: any) of this machine to port `remote` of a process until that process ends.

        Calls `ready` with the local port.
        """

    def metrics_folder(self, name: str) -> AbstractContextManager[Path]:
        """Open a folder on this machine with the metrics of a run, kept up to date within seconds."""

    def fetch(self, name: str, below: str, target: Path) -> None:
        """Copy the files of the run folder whose names begin with `below` to the folder `target`.

        Names are relative and have slashes: `checkpoints/best-`. Raises SurrealError if they cannot be read now.
        """

    def files(self, name: str) -> Sequence[str]:
        """Return the names of all files that `fetch` copies, sorted. Raises SurrealError if they cannot be read now."""

    def loss_at_stop(self, name: str) -> str:
        """Return what stopping the run now would lose for good, as a sentence; "" for nothing."""

    def stop(self, name: str) -> bool:
        """Stop every process after a checkpoint. Returns when all are gone; False if none ran."""

    def resume(self, name: str, accept_changes: bool = False) -> None:
        """Continue a stopped or failed run from its last checkpoint. Raises InvalidInput for any other.

        A run that promised equal numbers goes on with other versions of its packages only with `accept_changes`.
        """

    def change(self, name: str, changes: Sequence[str], check_only: bool = False) -> Sequence[str]:
        """Replace values (`spec.algorithm.config.total_steps=2e6`) of a run that does not run; `resume` takes them up.

        Return the warnings that are new in its plan. A run that has succeeded can be resumed then. Raises InvalidInput,
        with nothing changed, for wrong values; `check_only` does no more than that, and the run may run.
        """

    def delete(self, name: str) -> None:
        """Kill every process of the run and remove its files."""

    def autoscale(self, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
        """Have a run with a range of replicas follow its need until it is over; tell `say` each decision.

        Raises InvalidInput where the place does that itself, or cannot.
        """


class Unchangeable:
    """Methods of a backend on other machines: nothing begins there early, and runs keep their experiment."""

    def prepared(self) -> AbstractContextManager[None]:
        """Begin nothing."""
        return nullcontext()

    def change(self, name: str, changes: Sequence[str], check_only: bool = False) -> Sequence[str]:
        """Raise InvalidInput."""
        raise InvalidInput(f"{name}: runs of this place cannot be changed. Create another one with --set.")


def already_done(status: Status) -> str:
    """Return the sentence on a run that has succeeded, with the way to train on."""
    return f"{status.name}: has succeeded: there is nothing to resume. {to_train_on(status)}"


def to_train_on(status: Status) -> str:
    """Return the way to train on with a run that has succeeded."""
    words, change = "for more steps", "total_steps=..."
    if status.reached_goal:
        words, change = "past its goal", "stop_at_return=null"
    return f"Train on {words}: surreal resume {status.name} --set spec.algorithm.config.{change}"


def refuse_start(start: Path | None) -> None:
    """Raise InvalidInput for a checkpoint to begin from, which only this machine can take yet."""
    if start is not None:
        raise InvalidInput("--from: runs of this place begin from nothing. Give --on local.")


class WithoutObjects:
    """Methods of a backend whose runs are processes, and no objects of a server."""

    def autoscale(self, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
        """Raise InvalidInput."""
        raise InvalidInput(
            f"--auto: a supervisor of this place looks after {name}. Read surreal logs {name} supervisor."
        )

    def render(self, experiment: Experiment, plan: Plan, *, with_keys: bool, offline: bool) -> list[Manifest]:
        """Raise InvalidInput."""
        raise InvalidInput(f"{experiment.name}: this place has no objects to render. Give --on kube.")

    def diff(self, experiment: Experiment, plan: Plan) -> Diff:
        """Raise InvalidInput."""
        raise InvalidInput(f"{experiment.name}: this place has no objects to compare. Give --on kube.")


def backend(location: Location = THIS_MACHINE) -> Backend:
    """Return the backend of `location`. Raises InvalidInput that lists the known ones."""
    name = location.backend
    if name not in BACKENDS:
        hint = did_you_mean(name, BACKENDS)
        raise InvalidInput(f"--on {name}: no such backend{hint}. Available: {', '.join(BACKENDS)}")
    module, _, attribute = (ENGINES[location.engine] if location.engine else BACKENDS[name]).partition(":")
    found: Backend = getattr(import_module(module), attribute)(location)
    return found
