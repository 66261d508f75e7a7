"""Client and Run: all that a user does with experiments, the same on this machine and on a cluster.

The command line is their first user; its verbs only read options and print.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import Backend, Diff, Inventory, Manifest, backend, to_train_on
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.follow_status import follow_status
from surreal.orchestrator.run.location import LOCAL, Location, forget, locate, remembered
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.results import Metrics, Which, policy_files, read_metrics, read_policy
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, SurrealError, Timeout

if TYPE_CHECKING:
    from surreal.algorithms.policies import Policy
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.run.usage import Usage


WAIT_INTERVAL_S = 6.0
"""Seconds between two looks, of up to five requests each, at a run in a cluster whose end alone matters."""


class Client:
    """Experiments of one place: this machine, or one namespace of a cluster."""

    def __init__(
        self,
        on: str = LOCAL,
        *,
        context: str | None = None,
        namespace: str | None = None,
        kubeconfig: Path | str | None = None,
        engine: str | None = None,
    ) -> None:
        """Name a place: `local`, `ray`, `ray:ADDRESS`, or `kube` with a context and namespace of a kubeconfig.

        With the `engine` `ray` runs in a cluster are RayJobs of KubeRay. Asks nothing yet. Raises InvalidInput for an
        unknown place, and for options that it does not have.
        """
        config = str(kubeconfig) if kubeconfig else None
        self.location = Location.of(on, namespace, context, config, engine)
        self.backend: Backend = backend(self.location)

    @classmethod
    def at(cls, location: Location) -> Client:
        """Return the client of a location."""
        client = cls.__new__(cls)
        client.location, client.backend = location, backend(location)
        return client

    def plan(
        self, experiment: Experiment | Path | str, *, pools: Path | str | None = None, prices: Path | str | None = None
    ) -> Plan:
        """Return what would run where, at which cost; start nothing.

        `pools` is a cluster file whose pools may have no machine yet; a cluster that `surreal cluster up` made is known
        without it. `prices` is a file of machine types and prices. Raises InvalidInput at the experiment's lines.
        """
        from surreal.orchestrator.inventory import Machines

        files = [Path(file) if file else None for file in (pools, prices)]
        return plan_for(_experiment(experiment), Machines(self.location, *files))

    def create(
        self, experiment: Experiment | Path | str, plan: Plan | None = None, *, start: Path | None = None
    ) -> Run:
        """Start a run and return it at once; `plan` is by default that of `Client.plan`.

        `start` is a folder with a checkpoint to begin from. Raises InvalidInput, with nothing started, if the name is
        taken or the experiment does not fit.
        """
        experiment = _experiment(experiment)
        plan = plan or self.plan(experiment)
        self.backend.create(experiment, plan, start)
        return Run(plan.name, self.backend)

    def dry_run(
        self, experiment: Experiment | Path | str, plan: Plan | None = None, *, server: bool = False
    ) -> Sequence[str]:
        """Return one line for each thing that `create` would make; with `server` a cluster checks each object."""
        experiment = _experiment(experiment)
        return self.backend.dry_run(experiment, plan or self.plan(experiment), server=server)

    def render(
        self, experiment: Experiment | Path | str, plan: Plan | None = None, *, with_keys: bool = False
    ) -> Sequence[Manifest]:
        """Return the objects that `create` would send, as YAML; `with_keys` adds new secret keys."""
        experiment = _experiment(experiment)
        return self.backend.render(experiment, plan or self.plan(experiment), with_keys=with_keys, offline=False)

    def diff(self, experiment: Experiment | Path | str, plan: Plan | None = None) -> Diff:
        """Compare an experiment with the run of its name, object by object; change nothing."""
        experiment = _experiment(experiment)
        return self.backend.diff(experiment, plan or self.plan(experiment))

    def list(self) -> list[Run]:
        """Return all runs, sorted by name."""
        return [Run(name, self.backend) for name in self.backend.names()]

    def get(self, name: str) -> Run:
        """Return the run of that name. Raises NotFound with the nearest name."""
        self.backend.status(name)
        return Run(name, self.backend)

    def pools(self, cluster_file: Path | None = None, prices: Path | None = None) -> Inventory:
        """Return the machines of this place, with those of a cluster file."""
        return self.backend.pools(cluster_file, prices)

    def check(self) -> Sequence[Check]:
        """Check what this place has of what experiments need; change nothing."""
        return self.backend.check()


class Run:
    """One run of an experiment, on any backend."""

    def __init__(self, name: str, place: Backend) -> None:
        self.name = name
        self.backend = place

    @classmethod
    def find(cls, name: str, location: Location | None = None) -> Run:
        """Return a run by name: at `location`, else on this machine, else where it was created from here.

        Asks nothing yet, unless runs of that name were created in several places. Raises InvalidInput for a name that
        is here and elsewhere, or still in several places.
        """
        return cls(name, backend(locate(name, location, lambda place: _has(place, name))))

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def status(self) -> Status:
        """Return the state, the progress and the processes now. Writes nothing."""
        return self.backend.status(self.name)

    def usage(self) -> Usage:
        """Return the CPU and memory that each process used over the last seconds."""
        return self.backend.usage(self.name)

    def logs(self, source: str | None = None, *, tail: int | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Yield log lines of a role, a process (`actor/1`) or all, merged by time.

        `tail` limits them to the last lines; `follow` continues until the run is over.
        """
        return self.backend.logs(self.name, source, tail, follow)

    def metrics(self) -> Metrics:
        """Return all metrics: `run.metrics()["episode_return"][-1]`; `.rows` is a table for a data frame."""
        with self.backend.metrics_folder(self.name) as folder:
            return read_metrics(folder / "metrics.jsonl")

    def metrics_folder(self) -> AbstractContextManager[Path]:
        """Open a folder of this machine with the metrics, kept up to date within seconds."""
        return self.backend.metrics_folder(self.name)

    def policy(self, which: Which = "best", code: Path | str | None = None) -> Policy:
        """Return the best or the last policy: a callable on observations [n, ...], without torch.

        `code` is the folder of a network of your own, by default that of the run. Raises NotFound if the run has not
        saved a policy yet.
        """
        with tempfile.TemporaryDirectory(prefix="surreal-") as folder:
            for files in (policy_files(which), "code/", "run.json"):
                self.backend.fetch(self.name, files, Path(folder))
            return read_policy(Path(folder), which, self.name, Path(code) if code else None)

    def wait(
        self,
        timeout: float | None = None,
        watch: Callable[[Status], None] | None = None,
        notify: Callable[[str], None] = print,
    ) -> Status:
        """Wait until the run is over and return its last status; call `watch` with every status on the way.

        Tells `notify` one sentence if the place cannot be reached for a while. Raises Timeout after `timeout` seconds,
        and Unreachable after 15 minutes without an answer; the run continues in both cases.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        status = None
        # What only waits for the end looks at a cluster more rarely than what shows a run.
        interval = self.backend.poll_interval if watch or not self.backend.remote else WAIT_INTERVAL_S
        looks = follow_status(self.status, interval, notify, deadline, tidy=lambda: self.backend.reconcile(self.name))
        for status in looks:
            if watch:
                watch(status)
        if status is None or not status.over:
            state = status.state if status else "out of reach"
            raise Timeout(f"{self.name}: is {state} after {timeout:g} s. The run continues.")
        # The outcome of a run that is a claim alone is known only once that was read.
        self.backend.reconcile(self.name)
        return self.status()

    def loss_at_stop(self) -> str:
        """Return what stopping the run now would lose for good, as a sentence; "" for nothing."""
        return self.backend.loss_at_stop(self.name)

    def stop(self) -> bool:
        """Stop every process after a checkpoint; False if none ran."""
        stopped = self.backend.stop(self.name)
        self.backend.reconcile(self.name)
        return stopped

    def resume(self, *, accept_changes: bool = False, changes: Sequence[str] = ()) -> None:
        """Continue a stopped or failed run from its last checkpoint. Raises InvalidInput for any other.

        With `changes` (`spec.algorithm.config.total_steps=2e6`) it goes on with other values, also after it has
        succeeded. A run that promised equal numbers goes on with other versions of its packages only with
        `accept_changes`.
        """
        self.backend.reconcile(self.name)
        if changes:
            # Every command imports this module, and the models of all algorithms take half a second.
            from surreal.orchestrator.plan.change import refuse_an_end_at_once

            now = self.status()
            refuse_an_end_at_once(self.name, changes, now.progress, now.headline if now.reached_goal else "")
            self.backend.change(self.name, changes)
        self.backend.resume(self.name, accept_changes)

    def scale(self, replicas: Mapping[str, int]) -> Sequence[str]:
        """Give roles other numbers of processes; a run that runs goes on with them from a checkpoint made now.

        Return the warnings that this adds. Raises InvalidInput, with nothing changed, for more than its place holds and
        for a run that has succeeded.
        """
        changes = [f"spec.roles.{role}.replicas={number}" for role, number in replicas.items()]
        try:
            warnings = self.backend.change(self.name, changes, check_only=True)
        except InvalidInput as error:
            # nobody gave a --set
            raise InvalidInput(str(error).replace("--set spec.roles.", "")) from None
        # last: where runs cannot be changed, no resume --set goes on with one either
        status = self.status()
        if status.state == "succeeded":
            raise InvalidInput(f"{self.name}: has succeeded: there are no processes to scale. {to_train_on(status)}")
        running = self.stop()
        self.backend.change(self.name, changes)
        if running:
            self.backend.resume(self.name)
        return warnings

    def delete(self) -> None:
        """Kill every process and remove all files of the run."""
        self.backend.delete(self.name)

    def execute(self, source: str, command: Sequence[str], *, tty: bool = False) -> int:
        """Run a command in the environment of a process, on this terminal; return its exit code."""
        return self.backend.execute(self.name, source, command, tty)

    def forward(self, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Forward a port of this machine to one of a process; call `ready` with the local port."""
        self.backend.forward(self.name, source, local, remote, ready)


def _has(place: Location, name: str) -> bool:
    """Return whether a place has a run; one that does not answer may have it. A run that is gone is forgotten."""
    try:
        there = name in backend(place).names()
    except (SurrealError, OSError):
        return True
    if not there:
        with suppress(OSError):  # the note is a convenience, and a look needs no home that can be written
            forget(name, place)
    return there


def all_names() -> list[str]:
    """Return the names of all runs that are known without asking a cluster."""
    return sorted({*backend().names(), *remembered()})


def _experiment(experiment: Experiment | Path | str) -> Experiment:
    """Return the experiment, read from its file if it is a path."""
    if isinstance(experiment, Path | str):
        from surreal.orchestrator.experiment.load import load_experiment

        return load_experiment(Path(experiment))
    return experiment
