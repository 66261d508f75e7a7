"""The start of one worker process: its wiring, its environment, its pulse, and the folder of the sockets.

That folder is private, short, and on no file system that ends with a login session: XDG_RUNTIME_DIR is removed when its
user logs out, and TMPDIR may belong to a session too, while a run goes on.
"""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.log_files import choose_sources
from surreal.orchestrator.run.wiring import CONTROL, thread_variables, wire
from surreal.orchestrator.supervision.record import code_folder, read_plan
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import RELAY, role_of
from surreal.protocol.wiring import LIFELINE_VARIABLE, LONGEST_SOCKET, Wiring
from surreal.protocol.worker import pulse

PLACES = ("/tmp", "/var/tmp")
"""Folders that outlive a session on every system, by the file system hierarchy; the first that works."""


@dataclass(frozen=True)
class Launcher:
    """Starts the processes of one run."""

    plan: Plan
    folder: Folder
    sockets: Path
    code: str
    """Folder of the experimenter's own modules."""
    lifeline: int
    """Read end of a pipe whose only write end is the supervisor's."""
    board: pulse.Board
    """Memory in which the processes write their pulse; each has the slot of its number in `Plan.roles`."""

    def start(self, role: PlannedRole, index: int, incarnation: int, output: int) -> "subprocess.Popen[bytes]":
        """Start one process as the leader of its own group; what it prints goes to the descriptor `output`.

        Raises OSError when the system has no room for it.
        """
        slot = self.slot(role, index)
        self.board.clear(slot)
        path = self._write_wiring(role, index, incarnation)
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # stray files of libraries (MUJOCO_LOG.TXT) land in the run's folder and go with it
            cwd=self.folder.path,
            env={**environment(role), LIFELINE_VARIABLE: str(self.lifeline), pulse.VARIABLE: self.board.variable(slot)},
            pass_fds=[self.lifeline, self.board.descriptor],
            process_group=0,
        )

    def _write_wiring(self, role: PlannedRole, index: int, incarnation: int) -> Path:
        """Return the file with the wiring of a process, whose earlier outcome is forgotten."""
        name = f"{role.name}-{index}.json"
        wiring = self.wiring(role, index, incarnation)
        try:
            self.folder.outcome(role.name, index).unlink(missing_ok=True)
            wiring.write(self.folder.wiring / name)
            return self.folder.wiring / name
        except OSError:
            # the disk of the run may be full; the sockets usually lie on another one
            wiring.write(self.sockets / name)
            return self.sockets / name

    def slot(self, role: PlannedRole, index: int) -> int:
        """Return the number of a process, counted through all roles of the plan."""
        names = [planned.name for planned in self.plan.roles]
        return sum(planned.replicas for planned in self.plan.roles[: names.index(role.name)]) + index

    def wiring(self, role: PlannedRole, index: int, incarnation: int) -> Wiring:
        """Return what this process is told about its place in the run."""
        plan = self.plan
        return replace(
            wire(plan, role, plan.channels, self, str(self.folder.path)),
            index=index,
            incarnation=incarnation,
            serves_control=role.ends_run and index == 0,
            state_folder=str(self.folder.state(role.name, index)),
            code=self.code,
            prometheus=f"127.0.0.1:{plan.prometheus_port}" if plan.prometheus_port else "",
            termination=str(self.folder.outcome(role.name, index)),
        )

    def control(self) -> str:
        """Return the address of the control port."""
        return self._socket(CONTROL)

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """Return the address at which replica `index` of the role that binds a channel listens."""
        return self._socket(f"{channel.name}-{index}")

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """Return the address at which relay `index` of a broadcast listens."""
        return self._socket(f"{channel.name}{RELAY}-{index}")

    def _socket(self, name: str) -> str:
        """Return the address of a socket in a folder that only its owner can enter."""
        return f"ipc://{self.sockets / name}"


def environment(role: PlannedRole) -> dict[str, str]:
    """Return the environment variables of a role's processes; those of the experiment file win."""
    return {**os.environ, **thread_variables(role), "PYTHONUNBUFFERED": "1", **role.env}


def make_socket_folder(plan: Plan) -> Path:
    """Return a new private folder (0700) whose path is short enough for the sockets of all channels.

    Raises InvalidInput where no place for it can be written.
    """
    longest = max(len(name) for name in (CONTROL, *(f"{channel.name}{RELAY}-12345" for channel in plan.channels)))
    places = [place for place in (*PLACES, tempfile.gettempdir()) if _fits(place, longest)]
    reasons = []
    for place in places:
        try:
            return Path(tempfile.mkdtemp(prefix="surreal-", dir=place))
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
    raise InvalidInput(
        f"{plan.name}: no folder for its sockets: {'; '.join(reasons) or 'TMPDIR is too long'}. Make room in /tmp."
    )


def make_again_if_gone(folder: Path) -> bool:
    """Make the folder again where something removed it; True if so. Raises OSError where it is another user's."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        folder.mkdir(mode=0o700)
        return True
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(0, "is no folder of ours any more", str(folder))
    return False


def _fits(place: str, longest: int) -> bool:
    return os.path.isdir(place) and len(place) + len("/surreal-12345678/") + longest <= LONGEST_SOCKET


SIGNALS = 128
"""A shell gives a command that a signal ended this and the signal's number."""


def execute(folder: Folder, source: str, command: Sequence[str]) -> int:
    """Run a command with the variables of the process `source`, in the run's folder, with its code to import.

    The run need not be running. Raises NotFound for a process that it does not have, InvalidInput for no command.
    """
    plan = read_plan(folder)
    choose_sources(plan.name, plan.processes(), source)
    variables = environment(plan.role(role_of(source)))
    code = code_folder(folder, plan)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (code, variables.get("PYTHONPATH"))))
    # Ctrl-C is the command's, which shares our terminal; a function, unlike SIG_IGN, is not handed on to it
    # where Ctrl-C was ignored when we were started (nohup), the command ignores it too
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.Popen(command, cwd=folder.path, env=variables).wait()
    except (FileNotFoundError, PermissionError) as error:
        raise InvalidInput(
            f"exec: cannot run {command[0]!r}: {error.strerror}. Name a program that is there."
        ) from None
    finally:
        signal.signal(signal.SIGINT, before)
    return status if status >= 0 else SIGNALS - status
