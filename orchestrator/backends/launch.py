"""Starting one worker process: its wiring, its environment, its log."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from surreal.orchestrator.home import Folder
from surreal.orchestrator.plan import Plan, PlannedChannel, PlannedRole
from surreal.protocol.graph import RELAY
from surreal.protocol.wiring import ChannelWiring, Wiring

LIFELINE = "SURREAL_LIFELINE"
"""The worker reads this pipe; it ends when the supervisor does, however that dies."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Each numeric library takes every core it sees unless its own variable says otherwise."""
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
                env=self.environment(role),
                pass_fds=[self.lifeline],
                process_group=0,
            )

    def environment(self, role: PlannedRole) -> dict[str, str]:
        """The worker's environment variables; those of the experiment file win."""
        threads = str(max(1, int(role.resources.cpu)))
        ours = {**dict.fromkeys(THREADS, threads), "PYTHONUNBUFFERED": "1", LIFELINE: str(self.lifeline)}
        return {**os.environ, **ours, **role.env}

    def wiring(self, role: PlannedRole, index: int, incarnation: int) -> Wiring:
        """What this process is told about its place in the run."""
        plan = self.plan
        return Wiring(
            experiment=plan.name,
            role=role.name,
            index=index,
            incarnation=incarnation,
            run=role.run,
            replicas={each.name: each.replicas for each in plan.roles},
            channels={
                each.name: ChannelWiring(
                    each.name,
                    each.kind,
                    each.frm,
                    each.to,
                    self.addresses(each),
                    each.window,
                    each.lossy,
                    each.finite,
                    tuple(self.address(f"{each.name}{RELAY}-{i}") for i in range(each.relays)),
                    each.dtype or "",
                )
                for each in plan.channels
            },
            control=self.address(CONTROL),
            serves_control=role.ends_run and index == 0,
            control_role=next(each.name for each in plan.roles if each.ends_run),
            run_folder=str(self.folder.path),
            seed=plan.seed,
            code=self.code,
            env=plan.env,
            config=plan.config,
            checkpoints=plan.checkpoints.model_dump(by_alias=True),
            prometheus=f"127.0.0.1:{plan.prometheus_port}" if plan.prometheus_port else "",
        )

    def addresses(self, channel: PlannedChannel) -> tuple[str, ...]:
        """Where each replica of the role that binds a channel listens."""
        return tuple(self.address(f"{channel.name}-{i}") for i in range(self.plan.role(channel.binds).replicas))

    def address(self, channel: str) -> str:
        """Where a channel is: a socket in a folder that only its owner can enter."""
        return f"ipc://{self.sockets / channel}"


def make_socket_folder(plan: Plan) -> Path:
    """A new private folder (0700) whose path is short enough for the sockets of all channels."""
    longest = max(len(name) for name in (CONTROL, *(f"{channel.name}{RELAY}-12345" for channel in plan.channels)))
    places = [place for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()) if place]
    fits = [place for place in places if len(place) + len("/surreal-12345678/") + longest <= LONGEST_SOCKET]
    return Path(tempfile.mkdtemp(prefix="surreal-", dir=next(filter(os.path.isdir, fits), "/tmp")))
