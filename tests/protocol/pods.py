"""Workers as Kubernetes starts them: one wiring for all pods of a role, keys, and the environment of each pod."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.transport.curve_keys import make_key_files, write_key_files
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.termination import TerminationMessage
from tests.ports import free_port


@dataclass
class Pod:
    """One started pod: its first process, the log that kubectl would show, and where its last words are."""

    process: "subprocess.Popen[bytes]"
    log_path: Path
    termination: Path

    def log(self) -> str:
        """All that it printed."""
        return self.log_path.read_text(errors="replace")

    def wait(self, seconds: float = 120.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def ending(self) -> TerminationMessage:
        """Its termination message."""
        text = self.termination.read_text()
        assert len(text) <= 4097
        ending = TerminationMessage.parse(text)
        assert ending, text
        return ending


@dataclass
class Pods:
    """The pods of one run, on loopback addresses."""

    folder: Path
    replicas: dict[str, int]
    run: dict[str, str]
    """Role -> package.module:function."""
    channels: tuple[ChannelWiring, ...] = ()
    """Their addresses are given here."""
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the wiring that differ."""
    started: list[Pod] = field(default_factory=list)
    prefix: tuple[str, ...] = (sys.executable, "-P", "-m", "surreal.protocol.worker")
    host: str = "127.0.0.1"
    """Where the one pod is that binds everything."""

    def __post_init__(self) -> None:
        keys = write_key_files(make_key_files(self.replicas), self.folder)
        control_role = next(iter(self.replicas))
        others = tuple(role for role in self.replicas if role != control_role)
        logs = ChannelWiring("logs", "stream", others, (control_role,), window=64, lossy=True)
        channels = {}
        for each in (*self.channels, logs):
            channels[each.name] = replace(each, addresses=(f"tcp://{self.host}:{free_port()}",))
        control = f"tcp://{self.host}:{free_port()}"
        for role in self.replicas:
            (self.folder / role).mkdir()
            wiring = Wiring(
                experiment="test",
                role=role,
                index=0,
                incarnation=0,
                run=self.run[role],
                replicas=self.replicas,
                channels=channels,
                control=control,
                serves_control=False,
                run_folder=str(self.folder / role),
                seed=1,
                code=str(self.folder),
                keys=str(keys[role]),
                control_role=control_role,
                logs=True,
                termination=f"{self.folder}/{role}-termination",
            )
            replace(wiring, **self.changes).write(self.wiring(role))

    def wiring(self, role: str) -> Path:
        """What the pods of a role mount."""
        return self.folder / f"{role}-wiring.json"

    def start(
        self,
        role: str,
        index: int = 0,
        attempt: int = 1,
        failures: int = 0,
        within: tuple[str, ...] = (),
        **environ: str,
    ) -> Pod:
        """Start one pod; `within` is a command that runs its arguments elsewhere."""
        number = len(self.started)
        log_path, termination = self.folder / f"pod-{number}.log", self.folder / f"{role}-termination"
        termination.unlink(missing_ok=True)
        ours = {"JOB_COMPLETION_INDEX": index, "SURREAL_ATTEMPT": attempt, "SURREAL_FAILURES": failures or ""}
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [*within, *self.prefix, str(self.wiring(role))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **{name: str(value) for name, value in ours.items()}, **environ},
                start_new_session=True,
            )
        self.started.append(Pod(process, log_path, termination))
        return self.started[-1]

    def shipped(self, name: str) -> str:
        """A log in the run folder of the role that ends the run."""
        path = self.folder / next(iter(self.replicas)) / "logs" / name
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self) -> None:
        """Kill what is left, as the end of a pod does."""
        for pod in self.started:
            if pod.process.poll() is None:
                os.killpg(pod.process.pid, 9)
                pod.process.wait()


MakePods = Callable[..., Pods]


@pytest.fixture
def make_pods(folder: Path) -> Iterator[MakePods]:
    """Makes the pods of a run whose roles' functions are given as text; ends them all."""
    made: list[Pods] = []

    def make(roles: str, replicas: dict[str, int], functions: Mapping[str, str] | None = None, **rest: Any) -> Pods:
        (folder / "roles.py").write_text(roles)
        named = {role: role for role in replicas} | dict(functions or {})
        made.append(Pods(folder, replicas, {role: f"roles:{name}" for role, name in named.items()}, **rest))
        return made[-1]

    yield make
    for pods in made:
        pods.end()
