"""Supervisor of one run: a detached actor on the head's node, found by its name from any machine.

It owns the hosts, so that they end with it. Its folder is SURREAL_HOME/ray/NAME of the head; there it finds the run
again when Ray has started it anew. Once the run is over it answers for `spec.ttlSecondsAfterFinished`, then ends.
"""

import hashlib
import os
import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from surreal.orchestrator.backends.base import already_done
from surreal.orchestrator.backends.ray.actors.files import Files
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder, home, write_files, write_json
from surreal.orchestrator.run.log_files import choose_sources
from surreal.orchestrator.run.status import OUTCOMES
from surreal.orchestrator.run.wiring import key_files
from surreal.orchestrator.supervision.log_pump import LogWriter
from surreal.orchestrator.supervision.observe import status_of
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord, note_versions, processes_of, read_plan
from surreal.protocol.errors import InvalidInput, NotFound
from surreal.protocol.transport.curve_keys import write_key_files
from surreal.protocol.worker.code_archive import unpack

if TYPE_CHECKING:
    from surreal.orchestrator.backends.ray.actors.run import RayRun

USAGE_SECONDS = 5.0
STOP_SECONDS = 60.0
MOST_LOGS = 64
"""Logs that are kept open."""


class Supervisor:
    """The actor. Ray calls its methods in several threads."""

    def __init__(self, name: str) -> None:
        """Go on with the run of that name if it is under way, else wait for `create`."""
        import ray

        os.umask(0o077)
        self.ray = ray
        self.folder = Folder(home() / "ray" / name)
        self._files = Files(str(self.folder.path))
        self._writers: dict[tuple[str, int], LogWriter] = {}
        self._lock = threading.Lock()
        self._run: RayRun | None = None
        self._thread: threading.Thread | None = None
        if ray.get_runtime_context().was_current_actor_reconstructed and self.folder.plan.exists():
            self._begin(again=True)

    def version(self) -> str:
        """Return the version of surreal on the cluster."""
        return version("surreal")

    def create(
        self,
        documents: dict[str, str],
        provenance: dict[str, Any],
        code: tuple[str, bytes] | None,
        begin: bool = True,
    ) -> None:
        """Make the folder and begin the run, unless files that it begins from are still to come, and then `begin`.

        Raises InvalidInput where the folder cannot be written, or is there.
        """
        folder, made = self.folder, False
        try:
            made = _make(folder)
            folder.experiment.write_text(documents["experiment"])
            folder.plan.write_text(documents["plan"])
            plan = read_plan(folder)
            if code:
                unpack(code[1], folder.code, code[0])
                (folder.path / "code.tar.gz").write_bytes(code[1])
            write_json(folder.provenance, {**provenance, "token": secrets.token_hex(16)})
            self._make_keys(plan)
            RunRecord(processes=processes_of(plan)).write(folder)
        except FileExistsError:
            raise InvalidInput(
                f"{folder.path}: is on the cluster's head, of an earlier Ray. Go on with it by "
                f"surreal resume {folder.name}, or remove it by surreal delete {folder.name}"
            ) from None
        except OSError as error:
            if made:
                shutil.rmtree(folder.path, ignore_errors=True)
            raise InvalidInput(
                f"{error.filename or folder.path}: {error.strerror}, on the cluster's head. Nothing was started: start "
                "its Ray with SURREAL_HOME set to a folder that can be written."
            ) from None
        if begin:
            self._begin()

    def begin(self) -> None:
        """Begin a run whose folder was made."""
        self._begin()

    def status(self) -> dict[str, Any]:
        """Return the status, as plain data."""
        return status_of(self.folder, "ray", lambda: self._runs).to_data()

    def plan(self) -> str:
        """Return the plan, as JSON. Raises NotFound where no run was created or found."""
        if not self.folder.plan.exists():
            raise NotFound(f"no experiment {self.folder.name!r} in this cluster. See surreal list.")
        return self.folder.plan.read_text()

    def output(self, name: str, incarnation: int, data: bytes) -> None:
        """Take in what a process printed."""
        role, _, index = name.partition("/")
        with self._lock:
            key = (name, incarnation)
            if key not in self._writers:
                if len(self._writers) >= MOST_LOGS:
                    self._writers.pop(next(iter(self._writers))).close()
                path = self.folder.process_log
                self._writers[key] = LogWriter(lambda segment: path(role, int(index), incarnation, segment))
            self._writers[key].write(data)

    def started(self, name: str, incarnation: int, pid: int) -> None:
        """Take in the process id of a worker."""
        if self._run:
            self._run.note_pid(name, incarnation, pid)

    def note(self, name: str, incarnation: int, stuck: str, still: float) -> None:
        """Take in where a process is stuck; empty for one that moves."""
        if self._run:
            self._run.note(name, incarnation, stuck, still)

    def stop(self) -> bool:
        """Have every process save and end; return when all are gone. False if nothing ran."""
        return self._end("stop_asked")

    def resume(self, accept_changes: bool) -> None:
        """Begin again: the same plan, the next incarnations, from the last checkpoint. Raises InvalidInput."""
        name, record = self.folder.name, RunRecord.read(self.folder)
        self.plan()
        if self._runs:
            raise InvalidInput(f"{name}: is running: nothing to resume. Look at it: surreal status {name}")
        if record.state == "succeeded":
            raise InvalidInput(already_done(status_of(self.folder)))
        note_versions(self.folder, read_plan(self.folder), accept_changes)
        waiting = [ProcessRecord(each.role, each.index, incarnation=each.incarnation) for each in record.processes]
        RunRecord(processes=waiting, number=record.number + 1).write(self.folder)
        self._begin()

    def documents(self) -> tuple[str, str, bytes | None]:
        """Return the experiment, the plan, and the archive of one's own code."""
        archive = self.folder.path / "code.tar.gz"
        return self.folder.experiment.read_text(), self.plan(), archive.read_bytes() if archive.exists() else None

    def change(self, experiment: str, plan: str) -> None:
        """Replace the documents of a run that does not run; one that has succeeded counts as stopped then."""
        if self._runs:
            raise InvalidInput(f"{self.folder.name}: is running. Stop it first: surreal stop {self.folder.name}")
        write_files({self.folder.experiment: experiment, self.folder.plan: plan})
        self._make_keys(read_plan(self.folder))
        record = RunRecord.read(self.folder)
        if record.state == "succeeded":
            replace(record, state="stopped", reason="", number=record.number + 1).write(self.folder)

    def delete(self) -> None:
        """End every process at once and remove the folder. The caller then ends this actor."""
        self._end("abort_asked")
        shutil.rmtree(self.folder.path, ignore_errors=True)
        if self.folder.path.exists():
            shutil.rmtree(self.folder.path)

    def usage(self) -> dict[str, tuple[float | None, int | None]]:
        """Return process -> the cores and bytes that it uses."""
        running = [each for each in (self._run.processes if self._run else ()) if each.is_running]
        asked = [each.host.usage.remote() for each in running]
        ready, _ = self.ray.wait(asked, num_returns=len(asked), timeout=USAGE_SECONDS) if asked else ((), ())
        found = {}
        for each, reference in zip(running, asked, strict=True):
            with suppress(Exception):  # one that has just died uses nothing
                found[each.name] = self.ray.get(reference) if reference in ready else (None, None)
        return found

    def host(self, source: str) -> Any:
        """Return the actor of the process ROLE/INDEX, or the first of ROLE. Raises NotFound, and InvalidInput."""
        plan = read_plan(self.folder)
        name = min(choose_sources(plan.name, plan.processes(), source))
        found = next((each for each in (self._run.processes if self._run else ()) if each.name == name), None)
        if found is None or not found.is_running:
            raise InvalidInput(
                f"{name}: does not run now, so there is no place to run a command in. Wait until it runs."
            )
        return found.host

    def files(self, below: str) -> dict[str, tuple[int, int, int]]:
        """Return the files whose names begin with `below`: name -> inode, time, bytes."""
        return self._files.files(below)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return a part of a file of the run folder."""
        return self._files.read(name, offset, size)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Take a part of a file that the run begins from."""
        self._files.write(name, offset, data)

    def _make_keys(self, plan: Plan) -> None:
        """Make new keys for every role."""
        keys = self.folder.path / "keys"
        shutil.rmtree(keys, ignore_errors=True)
        keys.mkdir(mode=0o700)
        write_key_files(key_files(plan), keys)

    @property
    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _begin(self, again: bool = False) -> None:
        """Start the thread that conducts the run."""
        # commands know this class as the supervisor's handle, and need none of these
        from surreal.orchestrator.backends.ray.actors.hosts import Materials
        from surreal.orchestrator.backends.ray.actors.run import RayRun

        folder = self.folder
        if again and RunRecord.read(folder).state in OUTCOMES:
            return
        plan = read_plan(folder)
        keys = {role.name: (folder.path / "keys" / f"{role.name}.json").read_text() for role in plan.roles}
        archive = folder.path / "code.tar.gz"
        code = None
        if archive.exists():
            data = archive.read_bytes()
            code = self.ray.put((hashlib.sha256(data).hexdigest(), data))
        materials = Materials(keys, code, folder.provenance.read_text())
        myself = self.ray.get_runtime_context().current_actor
        self._run = RayRun(self.ray, myself, folder, plan, materials)
        if again:
            self._run.report("the supervisor was started again: the run goes on from its last checkpoint")
        self._thread = threading.Thread(target=self._conduct, args=(self._run, plan), name="surreal-run", daemon=True)
        self._thread.start()

    def _conduct(self, run: "RayRun", plan: Plan) -> None:
        run.run()
        with self._lock:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
        threading.Thread(target=self._leave_later, args=(run, plan.ttl_seconds), daemon=True).start()

    def _leave_later(self, run: "RayRun", seconds: float) -> None:
        """End this actor when the run has been over for so long and was not resumed."""
        time.sleep(seconds)
        if self._run is run and not self._runs:
            myself = self.ray.get_runtime_context().current_actor
            self.ray.kill(myself)

    def _end(self, how: str) -> bool:
        """Ask the run to end in this way, and wait until it has."""
        run, thread = self._run, self._thread
        if run is None or thread is None or not thread.is_alive():
            return False
        setattr(run, how, True)
        run.wake()
        thread.join(STOP_SECONDS)
        return True


def _make(folder: Folder) -> bool:
    """Create the folder; a volume that is mounted there and holds no run yet is one too, and False is returned.

    Raises FileExistsError where a run is.
    """
    if os.path.ismount(folder.path) and not folder.plan.exists():
        for part in (folder.wiring, folder.logs, folder.metrics, folder.checkpoints):
            part.mkdir(mode=0o700, exist_ok=True)
        return False
    folder.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.make()
    return True
