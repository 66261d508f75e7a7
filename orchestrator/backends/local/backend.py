"""The local backend: every process of the run is a process of this machine, watched by one detached supervisor."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import THIS_MACHINE, Inventory, WithoutObjects, already_done
from surreal.orchestrator.backends.local.change import acquire_ended, cannot_write, change
from surreal.orchestrator.backends.local.daemon import Daemon, end_supervisor, kill_leftovers
from surreal.orchestrator.run import home
from surreal.orchestrator.run import log_files as logs
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.run.status import Status, unsaved
from surreal.orchestrator.supervision import os_process
from surreal.orchestrator.supervision.observe import Statuses
from surreal.orchestrator.supervision.record import (
    ProcessRecord,
    RunRecord,
    note_versions,
    processes_of,
    read_plan,
)
from surreal.protocol.errors import InvalidInput, SurrealError

if TYPE_CHECKING:
    from surreal.orchestrator.doctor import Check
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.run.usage import Usage


STOP_SECONDS = 20.0
"""The supervisor kills what has not ended after 10 s; beyond this it hangs itself."""
ABORT_SECONDS = 5.0
"""Killing takes no time; beyond this the supervisor hangs."""


class LocalBackend(WithoutObjects):
    """Backend of this machine: the state of a run is its folder and nothing else.

    `backends.base.Backend` describes the methods.
    """

    poll_interval = 0.5
    remote = False

    def __init__(self, location: Location = THIS_MACHINE) -> None:
        """Take no options: there is one place only."""
        self._daemon: Daemon | None = None
        self._statuses = Statuses()

    def pools(self, cluster_file: Path | None, prices: Path | None) -> Inventory:
        """Return this machine as one pool; prices do not matter. Raises InvalidInput for a cluster file."""
        from surreal.provisioner.pools.local import local_pool

        if cluster_file:
            raise InvalidInput(
                f"--on local: {cluster_file} is of a cluster. Leave out the file: this machine needs none."
            )
        return Inventory((local_pool(),))

    def resolve(self, plan: "Plan") -> "Plan":
        """Return the plan unchanged."""
        return plan

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Have the supervisor start beside what comes before `create`."""
        with closing(Daemon()) as self._daemon:
            yield
        self._daemon = None

    def create(self, experiment: "Experiment", plan: "Plan", start: Path | None = None) -> None:
        """Write the folder and start the supervisor. Raises InvalidInput when the name is taken or code too large."""
        from surreal.orchestrator.run.code_archive import packed
        from surreal.protocol.worker.code_archive import unpack

        own = packed(plan.code, experiment.folder)
        folder = home.new_folder(plan.name)
        try:
            folder.make()
        except FileExistsError:
            raise InvalidInput(self._taken(plan.name)) from None
        except OSError as error:
            raise cannot_write(folder, error) from error
        held = os_process.acquire(folder)
        assert held is not None, "a folder that is new has no supervisor"
        try:
            folder.experiment.write_text(experiment.to_yaml())
            folder.plan.write_text(plan.to_json())
            if start:
                shutil.copytree(start, folder.checkpoints, dirs_exist_ok=True)
            if own:
                unpack(own.data, folder.code, own.digest)
            digest = own.digest if own else None
            made = provenance(experiment.folder / plan.code, digest, str(plan.env.get("id", "")))
            home.write_json(folder.provenance, made)
            record = RunRecord(processes=processes_of(plan))
            record.write(folder)
            record.reserve(folder)
            self._supervise(folder, held)
        except BaseException as error:
            os.close(held)
            # a Ctrl-C may come when the supervisor has already taken over: then it runs on
            if not os_process.is_held(folder):
                shutil.rmtree(folder.path, ignore_errors=True)
            if isinstance(error, OSError):
                raise cannot_write(folder, error) from error
            raise
        os.close(held)

    def dry_run(self, experiment: "Experiment", plan: "Plan", *, server: bool) -> list[str]:
        """Return the folder and the processes. Raises InvalidInput as `create`, and for `server`: there is none."""
        from surreal.orchestrator.run.code_archive import packed

        if server:
            raise InvalidInput(
                "--dry-run: server asks a cluster, and this runs here. Give --dry-run=client, or --on kube."
            )
        packed(plan.code, experiment.folder)
        if plan.name in home.names():
            raise InvalidInput(self._taken(plan.name))
        return [
            f"folder {home.experiments() / plan.name}",
            *(f"processes {role.name} x {role.replicas}" for role in plan.roles),
        ]

    def check(self) -> "list[Check]":
        """Check cores, memory, packages and programs of this machine."""
        from surreal.orchestrator.doctor import local_checks

        return list(local_checks())

    def names(self) -> list[str]:
        """Return the names of all runs, sorted."""
        return home.names()

    def reconcile(self, name: str) -> None:
        """Return at once: the supervisor leaves nothing behind."""

    def status(self, name: str) -> Status:
        """Return the status of one run, from the supervisor's record, its lock and the newest metrics."""
        return self._statuses.of(home.find(name))

    def statuses(self) -> Iterator[Status]:
        """Yield the status of every run; one that is deleted meanwhile is left out."""
        place = home.experiments()
        for name in self.names():
            folder = Folder(place / name)
            try:
                status = self._statuses.of(folder)
            except (OSError, ValueError) as error:
                reason = f"its folder cannot be read: {error}"
                status = Status(name, "local", str(folder.path), "stopped", reason)
            if folder.path.is_dir():
                yield status

    def usage(self, name: str) -> "Usage":
        """Return what its processes and their children use, watched for half a second."""
        from surreal.orchestrator.run.usage import usage_of
        from surreal.orchestrator.supervision.usage import measure

        status = self.status(name)
        running = {(role, each.index): each.pid for role in status.roles for each in status.roles[role] if each.pid}
        used = measure(set(running.values()))
        plan = read_plan(home.find(name))
        return usage_of(status, plan, {who: used[pid] for who, pid in running.items() if pid in used})

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield the log lines, merged by time; see `run.log_files`."""
        folder = home.find(name)
        sources = logs.choose_sources(name, (process.name for process in RunRecord.read(folder).processes), source)
        yield from logs.read(folder, sources, tail, (lambda: self.status(name).over) if follow else None)

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command as this process would be run, in the run's folder; the terminal is shared, no other is made."""
        from surreal.orchestrator.backends.local.launcher import execute

        return execute(home.find(name), source, command)

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """Raise InvalidInput: there is nothing to forward."""
        folder = home.find(name)
        port = read_plan(folder).prometheus_port
        serves = (
            f"Its metrics are at 127.0.0.1:{port} while it runs." if port else "Set spec.prometheus for its metrics."
        )
        raise InvalidInput(f"{name}: runs on this machine, where no port is forwarded. {serves}")

    @contextmanager
    def metrics_folder(self, name: str) -> Iterator[Path]:
        """Return the run's own metrics."""
        yield home.find(name).metrics

    def fetch(self, name: str, below: str, target: Path) -> None:
        """Copy files of the run folder."""
        home.copy_files(home.find(name).path, below, target)

    def files(self, name: str) -> Sequence[str]:
        """Return the names of the files of the run folder."""
        return home.file_names(home.find(name).path)

    def loss_at_stop(self, name: str) -> str:
        """Return what a disk that takes no checkpoint does not keep; "" else: the folder outlives every process."""
        status = self.status(name)
        lost = "" if status.over else unsaved(status.progress, home.find(name).saved_step)
        return f"{name}: {lost}. Make room first to keep them" if lost else ""

    def stop(self, name: str) -> bool:
        """Have every process save and end; returns when all are gone. False if nothing ran."""
        folder = home.find(name)
        return end_supervisor(folder, signal.SIGTERM, STOP_SECONDS)

    def resume(self, name: str, accept_changes: bool = False) -> None:
        """Start a supervisor again: the same plan, the next incarnations, from the last checkpoint.

        Raises InvalidInput for a run that cannot go on, and unless `accept_changes` for one that promised equal
        numbers and would now get those of other versions.
        """
        folder = home.find(name)
        held = acquire_ended(folder)
        if held is None:
            raise InvalidInput(f"{name}: is running: nothing to resume. Look at it: surreal status {name}")
        record = RunRecord.read(folder)
        try:
            if record.state == "succeeded":
                raise InvalidInput(already_done(self.status(name)))
            if not record.processes:
                raise InvalidInput(
                    f"{name}: cannot be resumed. Remove it by surreal delete {name}, then create it again."
                )
            note_versions(folder, read_plan(folder), accept_changes)
            kill_leftovers(record)
            waiting = [ProcessRecord(each.role, each.index, incarnation=each.incarnation) for each in record.processes]
            begun = RunRecord(node=record.node, processes=waiting, number=record.number + 1)
            begun.write(folder)
            try:
                # only now: a spare record may hold how the attempt before ended
                begun.reserve(folder)
                self._supervise(folder, held)
            except (SurrealError, OSError):
                replace(record, number=record.number + 2).write(folder)
                raise
        except OSError as error:
            raise cannot_write(folder, error) from error
        finally:
            os.close(held)

    def change(self, name: str, changes: Sequence[str], check_only: bool = False) -> Sequence[str]:
        """Write the changed experiment and its plan; one that has succeeded counts as stopped then."""
        return change(home.find(name), changes, self.pools(None, None).pools, check_only)

    def _supervise(self, folder: Folder, lock: int) -> None:
        """Start the supervisor of a run; returns once it lives. Raises SurrealError with its words if not."""
        with closing(self._daemon or Daemon()) as daemon:
            self._daemon = None
            daemon.supervise(folder, lock)

    def delete(self, name: str) -> None:
        """End every process at once and remove the folder."""
        folder = home.find(name)
        end_supervisor(folder, signal.SIGINT, ABORT_SECONDS)
        held = os_process.acquire(folder, timeout=ABORT_SECONDS)
        if held is None:
            raise InvalidInput(f"{name}: another command is resuming it. Try surreal delete {name} again.")
        try:
            kill_leftovers(RunRecord.read(folder))
            shutil.rmtree(folder.path, ignore_errors=True)
            # a worker that was just killed may have written once more
            if folder.path.exists():
                shutil.rmtree(folder.path)
        finally:
            os.close(held)

    def _taken(self, name: str) -> str:
        """Return the message for a name that is already used, with the possible next commands."""
        return (
            f"metadata.name: an experiment {name!r} exists already ({self.status(name).state}). "
            f"Take another name (--set metadata.name=..., in Python name=...), go on with it by surreal resume {name}, "
            f"or remove it by surreal delete {name}"
        )
