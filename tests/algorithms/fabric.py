"""A run of real worker processes without a supervisor, for tests of the roles themselves."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import PPO
from surreal.protocol.graph import METRICS, Channel
from surreal.protocol.wiring import ChannelWiring, Wiring

OWN = Path(__file__).parent / "environments" / "own"
"""Modules of an experimenter, which workers import."""


class Run:
    """Writes wirings into `folder` and starts workers; use as a context manager, which kills what is left."""

    def __init__(
        self,
        folder: Path,
        config: dict[str, Any],
        actors: int = 1,
        env: str = "CartPole-v1",
        options: dict[str, Any] | None = None,
        algorithm: Algorithm = PPO,
        replicas: dict[str, int] | None = None,
    ) -> None:
        self.folder, self.algorithm = folder, algorithm
        self.config = algorithm.config(**config).model_dump()
        self.env = {"id": env, "copies": 4, "options": options or {}}
        self.replicas = {role.name: 1 for role in algorithm.roles} | {"actor": actors} | (replicas or {})
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._incarnations: dict[str, int] = {}

    def start(self, role: str, index: int = 0) -> subprocess.Popen[bytes]:
        """Start one worker, the next incarnation of its name."""
        name = f"{role}-{index}"
        self._incarnations[name] = self._incarnations.get(name, 0) + 1
        path = self.folder / f"{name}.json"
        self._wiring(role, index, self._incarnations[name]).write(path)
        command = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(command, stderr=log, env=environment)
        return self.workers[name]

    def start_all(self) -> None:
        """Every role of the run."""
        for role, replicas in self.replicas.items():
            for index in range(replicas):
                self.start(role, index)

    def _wiring(self, role: str, index: int, incarnation: int) -> Wiring:
        channels = {
            c.name: ChannelWiring(
                **vars(c),
                addresses=tuple(f"ipc://{self.folder}/{c.name}-{n}.ipc" for n in range(self._listeners(c))),
            )
            for c in self.algorithm.channels
        }
        return Wiring(
            experiment="test",
            role=role,
            index=index,
            incarnation=incarnation,
            run=self.algorithm.role(role).entry_point,
            replicas=self.replicas,
            channels=channels,
            control=f"ipc://{self.folder}/control.ipc",
            serves_control=self.algorithm.role(role).ends_run and index == 0,
            run_folder=str(self.folder),
            state_folder=str(self.folder / "state" / f"{role}-{index}"),
            seed=1,
            code=str(OWN),
            env=self.env,
            config=self.config,
            checkpoints={"everySeconds": 0.2, "keep": 2},
            evaluators=tuple(each.name for each in self.algorithm.roles if each.evaluates),
        )

    def _listeners(self, channel: Channel) -> int:
        """As `wire` has it: metrics go to the first replica alone."""
        return 1 if channel.name == METRICS else self.replicas[channel.binds]

    def rows(self, role: str = "learner/0", waiting: bool = False) -> list[dict[str, Any]]:
        """The metrics rows of `role` so far; without those of a process that waits, which say little else."""
        path = self.folder / "metrics" / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        # one without an end is being written
        found = [row for row in (json.loads(line) for line in lines if line.endswith("\n")) if row["role"] == role]
        return [row for row in found if waiting or "waiting_for" not in row]

    def log(self, name: str) -> str:
        """What the worker `name` (learner-0) wrote."""
        return (self.folder / f"{name}.log").read_text()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error: Any) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()


def wait_for(condition: Callable[[], Any], seconds: float = 120.0) -> None:
    """Poll until `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
