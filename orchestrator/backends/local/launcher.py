"""Starting one worker process: its wiring, its environment, its log."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from surreal.orchestrator.plan.model import Plan, PlannedChannel, PlannedRole
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.wiring import thread_variables, wire
from surreal.protocol.graph import RELAY
from surreal.protocol.wiring import LIFELINE_VARIABLE, Wiring

LONGEST_SOCKET = 100
"""Bytes of a path that every system's sockets allow (macOS: 103)."""
CONTROL = ".control"
"""Name of the control port's socket, which no channel can have."""


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

    def start(self, role: PlannedRole, index: int, incarnation: int) -> "subprocess.Popen[bytes]":
        """Start one process as the leader of its own group. Raises OSError when the system has no room for it."""
        path = self.folder.wiring / f"{role.name}-{index}.json"
        self.wiring(role, index, incarnation).write(path)
        with self.folder.process_log(role.name, index, incarnation).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # stray files of libraries (MUJOCO_LOG.TXT) land in the run's folder and go with it
                cwd=self.folder.path,
                env={**environment(role), LIFELINE_VARIABLE: str(self.lifeline)},
                pass_fds=[self.lifeline],
                process_group=0,
            )

    def wiring(self, role: PlannedRole, index: int, incarnation: int) -> Wiring:
        """What this process is told about its place in the run."""
        plan = self.plan
        return replace(
            wire(plan, role, plan.channels, self, str(self.folder.path)),
            index=index,
            incarnation=incarnation,
            serves_control=role.ends_run and index == 0,
            code=self.code,
            prometheus=f"127.0.0.1:{plan.prometheus_port}" if plan.prometheus_port else "",
        )

    def control(self) -> str:
        """Where the control port is."""
        return self._socket(CONTROL)

    def channel(self, channel: PlannedChannel, index: int) -> str:
        """Where replica `index` of the role that binds a channel listens."""
        return self._socket(f"{channel.name}-{index}")

    def relay(self, channel: PlannedChannel, index: int) -> str:
        """Where relay `index` of a broadcast listens."""
        return self._socket(f"{channel.name}{RELAY}-{index}")

    def _socket(self, name: str) -> str:
        """A socket in a folder that only its owner can enter."""
        return f"ipc://{self.sockets / name}"


def environment(role: PlannedRole) -> dict[str, str]:
    """The environment variables of a role's processes; those of the experiment file win."""
    return {**os.environ, **thread_variables(role), "PYTHONUNBUFFERED": "1", **role.env}


def make_socket_folder(plan: Plan) -> Path:
    """A new private folder (0700) whose path is short enough for the sockets of all channels."""
    longest = max(len(name) for name in (CONTROL, *(f"{channel.name}{RELAY}-12345" for channel in plan.channels)))
    places = [place for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()) if place]
    fits = [place for place in places if len(place) + len("/surreal-12345678/") + longest <= LONGEST_SOCKET]
    return Path(tempfile.mkdtemp(prefix="surreal-", dir=next(filter(os.path.isdir, fits), "/tmp")))
