"""Wiring: everything one process is told about its place in an experiment, in one JSON file.

A backend writes it when addresses are known; `Wiring.read` is the only reader. The file's path is the worker's
only argument.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from surreal.protocol.graph import Channel, ProcessName

LIFELINE_VARIABLE = "SURREAL_LIFELINE"
"""Environment variable with the number of an inherited pipe's read end, which closes when the supervisor dies."""
LONGEST_SOCKET = 100
"""Bytes of the path of an ipc address that every system allows (macOS: 103)."""
LOCAL_STOP_GRACE_S = 10.0
"""Time that a supervisor gives its workers between SIGTERM and SIGKILL."""
POD_STOP_GRACE_S = 12.0
"""Time that PID 1 of a pod gives the worker after the first SIGTERM; less than the pod's own 30 s."""
ORPHAN_GRACE_S = 2.0
"""Time that a worker has to end by itself once its supervisor is gone."""

ATTEMPT = 100_000
"""In a cluster, incarnations of attempt n begin at n times this: it counts the failures of each attempt anew."""


def starts(incarnation: int) -> int:
    """Return the number of starts of a process: in a cluster the attempts and the failures of the last one."""
    return incarnation // ATTEMPT + incarnation % ATTEMPT


@dataclass(frozen=True)
class ChannelWiring(Channel):
    """One channel of the graph with its addresses in this run."""

    addresses: tuple[str, ...] = ()
    """ipc:///path or tcp://host:port, one for each replica of the role that binds; all others connect."""
    relays: tuple[str, ...] = ()
    """Broadcast: addresses of the relays between the publisher and its readers, if there are any."""
    dtype: str = ""
    """Broadcast: `bfloat16` where float32 arrays travel at half the size; empty for what they are."""


@dataclass(frozen=True)
class Wiring:
    """The place of one process in an experiment. All fields are plain data and survive JSON unchanged."""

    experiment: str
    role: str
    index: int
    incarnation: int
    """Grows with every start of this (role, index), over restarts and resumes: the newer one is the right one."""
    run: str
    """`package.module:function` of the role."""
    replicas: dict[str, int]
    """Role name -> number of processes, for every role of the run."""
    channels: dict[str, ChannelWiring]
    control: str
    """Address of the control port (liveness, membership, stop)."""
    serves_control: bool
    """True in the process whose role ends the run: it binds `control`, all others connect."""
    run_folder: str
    """The folder of metrics/ and checkpoints/. Only the process that serves control writes there."""
    seed: int
    code: str = ""
    """Folder of the experimenter's own modules, appended to sys.path; empty for none."""
    env: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    """The algorithm's config, already validated."""
    checkpoints: dict[str, Any] = field(default_factory=dict)
    keys: str = ""
    """File with the CURVE keys of this process's role and the public ones of all roles; empty for none."""
    control_role: str = ""
    """The role that ends the run and binds `control`; only needed with keys, which are made out to roles."""
    prometheus: str = ""
    """host:port at which the process that serves control serves /metrics; empty for nowhere."""
    logs: bool = False
    """Send what this process prints to the run folder, over the stream `logs`."""
    track: dict[str, Any] = field(default_factory=dict)
    """Other places that get the metrics, `wandb` and `mlflow`, each with its settings; empty for none."""
    record: dict[str, Any] = field(default_factory=dict)
    """Recording of the episodes of acting processes: `folder` (empty for one below the run folder), `every`, and the
    `bytes` of this process; empty for none."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Bounds at which the process that serves control ends the run: `hours`, `dollars`, `stillMinutes`; and
    `dollarsPerHour`, with `bound` where that is an upper bound. Those that are not known are missing."""
    notify: dict[str, Any] = field(default_factory=dict)
    """Ways to tell a person of the end: `command`, `url`, and `stillMinutes` without a step; empty for none."""
    store: str = ""
    """URL (fsspec) of what outlives the run folder; empty where the run folder itself does."""
    start_archive: str = ""
    """File with a packed checkpoint that a run without one begins from, and its sha256; empty for none."""
    start_digest: str = ""
    memory: int = 0
    """Bytes that this process may use; 0 where it was not said."""
    state_folder: str = ""
    """Folder of this process's own state, which is there again when it is restarted; empty for none."""
    evaluators: tuple[str, ...] = ()
    """Roles whose last evaluation the end of the run waits for."""
    least: dict[str, int] = field(default_factory=dict)
    """Role -> processes that there are at least, for roles whose number changes; `replicas` is the most."""
    expendable: bool = False
    """This role never ends by itself before the run does; a return before that is a crash."""
    termination: str = ""
    """File for one last line about how the process ended; empty for none."""
    hang_seconds: float = 0.0
    """Seconds without a move after which PID 1 of a pod ends this process; 0 for never."""
    session: int = 0
    """Number under which this process speaks at the control port; 0 for a random one."""

    @property
    def name(self) -> str:
        """`actor/3`: how this process is called in logs, messages and on the command line."""
        return str(ProcessName(self.role, self.index))

    @property
    def start(self) -> int:
        """1 at the first start of this (role, index) on every backend, and another number at each other: for seeds."""
        return self.incarnation - ATTEMPT + 1 if self.incarnation >= ATTEMPT else self.incarnation

    def has(self, process: str) -> bool:
        """Return True if this is the name of a process of the run."""
        name = ProcessName.find(process)
        return name is not None and name.index < self.replicas.get(name.role, 0)

    def absolute(self) -> "Wiring":
        """Return a wiring whose paths stay the same when foreign code changes the working directory."""
        paths = {name: getattr(self, name) for name in ("run_folder", "state_folder", "code", "keys", "termination")}
        return replace(self, **{name: os.path.abspath(path) for name, path in paths.items() if path})

    def write(self, path: Path) -> None:
        """Write as JSON, readable by the owner only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> "Wiring":
        """Read what `write` wrote."""
        return cls.of(json.loads(path.read_text()))

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Wiring":
        """Return the wiring that plain data describe, as `asdict` and JSON make them."""
        channels: dict[str, ChannelWiring] = {}
        for name, wired in data["channels"].items():
            plain: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in wired.items()}
            channels[name] = ChannelWiring(**plain)
        return cls(**{**data, "channels": channels, "evaluators": tuple(data.get("evaluators", ()))})
