"""The local backend: every process of the run is a process of this machine, watched by one detached supervisor."""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from surreal.orchestrator.backends.base import THIS_MACHINE
from surreal.orchestrator.backends.local import os_process as lock
from surreal.orchestrator.backends.local import os_process as pids
from surreal.orchestrator.backends.local.record import ProcessRecord, RunRecord, processes_of
from surreal.orchestrator.run import home
from surreal.orchestrator.run import log_files as logs
from surreal.orchestrator.run.channel_stats import read_channels
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.log_files import LogLine
from surreal.orchestrator.run.provenance import provenance
from surreal.orchestrator.run.status import OUTCOMES, ProcessStatus, Status, read_progress
from surreal.protocol.errors import InvalidInput, SurrealError

if TYPE_CHECKING:
    from surreal.orchestrator.experiment.model import Experiment
    from surreal.orchestrator.plan.model import Plan
    from surreal.orchestrator.run.usage import Usage


STOP_SECONDS = 20.0
"""The supervisor kills what has not ended after 10 s; beyond this it hangs itself."""
ABORT_SECONDS = 5.0
"""Killing takes no time; beyond this the supervisor hangs."""


class LocalBackend:
    """See `orchestrator.backend.Backend`; the state of a run is its folder and nothing else."""

    poll_interval = 0.5

    def __init__(self, location: Location = THIS_MACHINE) -> None:
        """There is one such place only."""

    def resolve(self, plan: "Plan") -> "Plan":
        """A machine of one's own has nothing to add."""
        return plan

    def create(self, experiment: "Experiment", plan: "Plan", code: Path) -> None:
        """Write the folder and start the supervisor. Raises InvalidInput when the name is taken or code too large."""
        from surreal.orchestrator.run.code_archive import packed
        from surreal.protocol.worker.code_archive import unpack

        own = packed(plan.code, code)
        folder = home.new_folder(plan.name)
        try:
            folder.make()
        except FileExistsError:
            raise InvalidInput(self._taken(plan.name)) from None
        held = lock.acquire(folder)
        assert held is not None, "a folder that is new has no supervisor"
        try:
            folder.experiment.write_text(experiment.to_yaml())
            folder.plan.write_text(plan.to_json())
            if own:
                unpack(own.data, folder.code, own.digest)
            home.write_json(folder.provenance, provenance(code / plan.code, own.digest if own else None))
            RunRecord(processes=processes_of(plan)).write(folder)
            self._start_supervisor(folder, held)
        except BaseException:
            os.close(held)
            # a Ctrl-C may come when the supervisor has already taken over: then it runs on
            if not lock.is_held(folder):
                shutil.rmtree(folder.path, ignore_errors=True)
            raise
        os.close(held)

    def dry_run(self, experiment: "Experiment", plan: "Plan", code: Path, ask: bool) -> list[str]:
        """The folder and the processes. Raises InvalidInput as `create`, and where somebody else is to be asked."""
        from surreal.orchestrator.run.code_archive import packed

        if ask:
            raise InvalidInput("--dry-run=server asks a cluster, and this runs here: --dry-run=client, or --on kube")
        packed(plan.code, code)
        folder = home.new_folder(plan.name)
        if plan.name in home.names():
            raise InvalidInput(self._taken(plan.name))
        return [f"folder {folder.path}", *(f"processes {role.name} x {role.replicas}" for role in plan.roles)]

    def names(self) -> list[str]:
        """The experiments there are, in order of name."""
        return home.names()

    def status(self, name: str) -> Status:
        """One run, from the supervisor's record, its lock and the newest metrics."""
        folder = home.find(name)
        record = RunRecord.read(folder)
        if record.state not in OUTCOMES and not lock.is_held(folder):
            # it may have ended between the two looks, so look again before calling it dead
            record = RunRecord.read(folder)
            if record.state not in OUTCOMES:
                record = _died(name, record)
        created = home.read_json(folder.provenance)["created"] if folder.provenance.exists() else ""
        roles: dict[str, tuple[ProcessStatus, ...]] = {}
        for process in record.processes:
            roles[process.role] = (*roles.get(process.role, ()), _process_status(process, record.node))
        progress = read_progress(folder.metrics_jsonl)
        channels = read_channels(folder.channels, over=record.state in OUTCOMES)
        return Status(name, "local", str(folder.path), record.state, record.reason, created, progress, roles, channels)

    def usage(self, name: str) -> "Usage":
        """What its processes and their children use, watched for half a second."""
        from surreal.orchestrator.backends.local.usage import measure
        from surreal.orchestrator.plan.model import Plan
        from surreal.orchestrator.run.usage import usage_of

        status = self.status(name)
        running = {(role, each.index): each.pid for role in status.roles for each in status.roles[role] if each.pid}
        used = measure(set(running.values()))
        plan = Plan.from_json(home.find(name).plan.read_text())
        return usage_of(status, plan, {who: used[pid] for who, pid in running.items() if pid in used})

    def logs(
        self, name: str, source: str | None = None, tail: int | None = None, follow: bool = False
    ) -> Iterator[LogLine]:
        """The log lines, merged by time; see `backends.logs`."""
        folder = home.find(name)
        sources = logs.choose_sources(name, (process.name for process in RunRecord.read(folder).processes), source)
        yield from logs.read(folder, sources, tail, (lambda: self.status(name).over) if follow else None)

    def execute(self, name: str, source: str, command: Sequence[str], tty: bool) -> int:
        """Run a command as this process would be run, in the run's folder; the terminal is shared, no other is made."""
        from surreal.orchestrator.backends.local.exec import execute

        return execute(home.find(name), source, command)

    def forward(self, name: str, source: str, local: int, remote: int, ready: Callable[[int], None]) -> None:
        """There is nothing to forward. Raises InvalidInput."""
        home.find(name)
        raise InvalidInput(f"{name} runs on this machine: what its processes serve is at 127.0.0.1:{remote} already")

    @contextmanager
    def metrics_folder(self, name: str) -> Iterator[Path]:
        """The run's own metrics."""
        yield home.find(name).metrics

    def stop(self, name: str) -> bool:
        """Have every process save and end; returns when all are gone. False if nothing ran."""
        folder = home.find(name)
        return _end_supervisor(folder, signal.SIGTERM, STOP_SECONDS)

    def resume(self, name: str) -> None:
        """Start a supervisor again: the same plan, the next incarnations, from the last checkpoint."""
        folder = home.find(name)
        # a run that has just ended may hold its lock for a moment more
        held = lock.acquire(folder, timeout=1.0)
        if held is None:
            raise InvalidInput(f"{name} is running: nothing to resume (surreal status {name})")
        record = RunRecord.read(folder)
        try:
            if record.state == "succeeded":
                raise InvalidInput(f"{name} has succeeded: nothing to resume; train on with another name and file")
            if not record.processes:
                raise InvalidInput(f"{name} cannot be resumed: surreal delete {name}, then create it again")
            _kill_leftovers(record)
            waiting = [ProcessRecord(each.role, each.index, incarnation=each.incarnation) for each in record.processes]
            RunRecord(node=record.node, processes=waiting).write(folder)
            self._start_supervisor(folder, held)
        finally:
            os.close(held)

    def delete(self, name: str) -> None:
        """End every process at once and remove the folder."""
        folder = home.find(name)
        _end_supervisor(folder, signal.SIGINT, ABORT_SECONDS)
        held = lock.acquire(folder, timeout=ABORT_SECONDS)
        if held is None:
            raise InvalidInput(f"{name} is being resumed by somebody else; surreal delete {name} again")
        try:
            _kill_leftovers(RunRecord.read(folder))
            shutil.rmtree(folder.path, ignore_errors=True)
            # a worker that was just killed may have written once more
            if folder.path.exists():
                shutil.rmtree(folder.path)
        finally:
            os.close(held)

    def _start_supervisor(self, folder: Folder, held: int) -> None:
        """Hand the lock over to a new supervisor. Raises SurrealError with its words if it does not start."""
        command = [
            sys.executable,
            "-P",
            "-m",
            "surreal.orchestrator.backends.local.supervisor",
            str(folder.path),
            str(held),
        ]
        with folder.supervisor_log.open("ab") as log:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.path,
                pass_fds=[held],
                start_new_session=True,
                check=False,
            ).returncode
        if code:
            words = b"\n".join(home.tail_lines(folder.supervisor_log, 2048)).decode(errors="replace")
            raise SurrealError(f"the supervisor of {folder.name} did not start (exit {code}):\n{words}")

    def _taken(self, name: str) -> str:
        """Two of one name: what the other is, and the ways out."""
        return (
            f"metadata.name: an experiment {name!r} exists already ({self.status(name).state}); "
            f"take another name with --set metadata.name=..., go on with it by surreal resume {name}, "
            f"or remove it by surreal delete {name}"
        )


def _died(name: str, record: RunRecord) -> RunRecord:
    """What to say of a run whose supervisor is gone without a word."""
    if not record.processes:
        return replace(record, state="failed", reason=f"its creation was interrupted; surreal delete {name}")
    reason = f"supervisor died; surreal resume {name} continues from the last checkpoint"
    processes = [
        process if pids.is_alive(process.pid, process.born) else replace(process, state="failed", pid=None)
        for process in record.processes
    ]
    return replace(record, state="failed", reason=reason, processes=processes)


def _process_status(process: ProcessRecord, node: str) -> ProcessStatus:
    return ProcessStatus(process.index, process.state, process.restarts, process.pid, node or platform.node())


def _end_supervisor(folder: Folder, number: signal.Signals, seconds: float) -> bool:
    """Signal the supervisor and wait for its end; one that hangs is killed. False when none lives."""
    if not lock.is_held(folder):
        return False
    record = _introduced(folder)
    if record.supervisor and pids.is_alive(record.supervisor, record.born):
        with suppress(ProcessLookupError):
            os.kill(record.supervisor, number)
    if not lock.wait_until_free(folder, seconds):
        pids.kill(record.supervisor, record.born)
        lock.wait_until_free(folder, seconds)
    return True


def _introduced(folder: Folder) -> RunRecord:
    """The record with the supervisor's pid, which a new one writes within its first half second."""
    deadline = time.monotonic() + ABORT_SECONDS
    record = RunRecord.read(folder)
    while record.supervisor is None and time.monotonic() < deadline and not lock.wait_until_free(folder, 0.05):
        record = RunRecord.read(folder)
    return record


def _kill_leftovers(record: RunRecord) -> None:
    """End what a supervisor that was killed may have left: workers in their last two seconds, their sockets."""
    for process in record.processes:
        pids.kill_group(process.pid, process.born)
    if record.sockets:
        shutil.rmtree(record.sockets, ignore_errors=True)
