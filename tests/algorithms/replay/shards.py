"""A run of real worker processes with replay shards, without a supervisor."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from surreal.algorithms.replay.config import EXPERIENCE, PRIORITIES, REPLAY, SAMPLE
from surreal.protocol.graph import Stream
from surreal.protocol.wiring import ChannelWiring, Wiring

PROGRAMS = Path(__file__).parent / "programs"
RUNS = {"replay": REPLAY.entry_point, "actor": "replay_roles:actor", "learner": "replay_roles:learner"}
CHANNELS = (EXPERIENCE, SAMPLE, PRIORITIES, Stream("metrics", ("actor", "replay"), "learner", lossy=True))


class ReplayRun:
    """Writes wirings into `folder` and starts workers; use as a context manager, which kills what is left."""

    def __init__(self, folder: Path, config: dict[str, Any], shards: int = 1, actors: int = 1) -> None:
        self.folder, self.config = folder, config
        self.replicas = {"learner": 1, "replay": shards, "actor": actors}
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.incarnations: dict[str, int] = {}
        self.log_at: dict[str, int] = {}
        """Where the log of each worker's newest life begins."""

    def start(self, role: str, index: int = 0) -> "subprocess.Popen[bytes]":
        """Start one worker, the next incarnation of its name."""
        name = f"{role}-{index}"
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        path = self.folder / f"{name}.json"
        self.wiring(role, index, self.incarnations[name]).write(path)
        command = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.log_at[name] = log.tell()
            self.workers[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        return self.workers[name]

    def start_all(self) -> None:
        """Every role of the run."""
        for role, replicas in self.replicas.items():
            for index in range(replicas):
                self.start(role, index)

    def kill(self, name: str) -> None:
        """End a worker as a crash does."""
        self.workers[name].kill()
        self.workers[name].wait()

    def wiring(self, role: str, index: int, incarnation: int) -> Wiring:
        """What a worker is told."""

        def addresses(binds: str, name: str) -> tuple[str, ...]:
            return tuple(f"ipc://{self.folder}/{name}-{i}" for i in range(self.replicas[binds]))

        return Wiring(
            experiment="test",
            role=role,
            index=index,
            incarnation=incarnation,
            run=RUNS[role],
            replicas=self.replicas,
            channels={c.name: ChannelWiring(**vars(c), addresses=addresses(c.binds, c.name)) for c in CHANNELS},
            control=f"ipc://{self.folder}/control",
            serves_control=role == "learner",
            run_folder=str(self.folder),
            state_folder=str(self.folder / "state" / f"{role}-{index}"),
            seed=1,
            code=str(PROGRAMS),
            config=self.config,
        )

    def log(self, name: str) -> str:
        """What the worker `name` (learner-0) wrote."""
        return (self.folder / f"{name}.log").read_text()

    def batches(self) -> int:
        """Batches that the learner has sampled."""
        path = self.folder / "batches"
        return int((path.read_text() if path.exists() else "") or 0)

    def lines(self, name: str) -> list[Any]:
        """The JSON lines of a log of the programs, a torn last one left out."""
        path = self.folder / name
        text = path.read_text() if path.exists() else ""
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:  # its writer was killed
                continue
        return found

    def __enter__(self) -> "ReplayRun":
        return self

    def __exit__(self, *error: Any) -> None:
        for worker in self.workers.values():
            worker.kill()
            worker.wait()
