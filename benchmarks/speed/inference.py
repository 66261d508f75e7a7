"""Acting with a policy in each actor and by central inference on this machine: actions a second, and what they cost.

    python benchmarks speed.inference [--networks mlp nature-cnn impala-resnet] [--actors 8] [--copies 8] [--seconds 15]

Actors and the replica are worker processes with real sockets. This process is the learner: it publishes one version of
the weights and throws fragments away. Environments cost next to nothing (`Still` below), so acting is all there is.
The two ways take turns, `--rounds` of each; a row is the median. The cores of a way are those that its processes
used, so actions a core and second compare what acting costs where the machine is not idle otherwise.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import psutil
from gymnasium import spaces

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.normalizers import Standardizer, standardized_size
from surreal.algorithms.registry import IMPALA
from surreal.protocol.graph import METRICS
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session

BENCHMARKS = Path(__file__).parents[1]
"""Folder of the code that workers import: the environment below."""
STEPS = 20
NETWORKS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "mlp": ({"encoder": "none"}, [16]),
    "lstm": ({"memory": {"kind": "lstm", "size": 128}}, [64]),
    "nature-cnn": ({"encoder": "nature-cnn"}, [4, 84, 84]),
    "impala-resnet": ({"encoder": "impala-resnet"}, [4, 84, 84]),
}
"""Name -> settings of the network, shape of an observation."""


class Still(gymnasium.Env[Any, Any]):
    """The same observation for a hundred steps: bytes for an image, else numbers."""

    def __init__(self, shape: list[int]) -> None:
        image = len(shape) > 1
        self.observation_space = spaces.Box(0, 255, shape, np.uint8) if image else spaces.Box(-1, 1, shape, np.float32)
        self.action_space = spaces.Discrete(6)
        self._seen = np.zeros(shape, np.uint8 if image else np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin a hundred steps."""
        self._left = 100
        return self._seen, {}

    def step(self, action: Any) -> Any:
        """Count down."""
        self._left -= 1
        return self._seen, 0.0, self._left == 0, False, {}


class Measured(NamedTuple):
    """One way for some seconds."""

    rate: float
    """Actions a second."""
    cores: float
    """Cores that all actors and replicas used."""
    replica: dict[str, float]
    """Last report of the replica; empty for local inference."""


class Site:
    """Actors and perhaps a replica, and this process as their learner."""

    def __init__(self, folder: Path, way: str, network: str, actors: int, copies: int, batch: int | None) -> None:
        settings, shape = NETWORKS[network]
        self._folder, self._actors, self._size = folder, actors, STEPS * copies
        asked = {"inference": way, "network": settings, "fragment_steps": STEPS, "inference_batch": batch}
        self._config = IMPALA.config(**asked).model_dump()
        self._env = {"id": "speed.inference:Still", "copies": copies, "options": {"shape": shape}}
        self._algorithm = IMPALA.arranged(self._config)
        self._session = Session(self._wiring("learner", 0))
        process = Process(self._session)
        self._experience, self._metrics = process.receiver("experience"), process.receiver(METRICS)
        self._publish(process)
        roles = [("actor", index) for index in range(actors)] + [("inference", 0)] * (way == "central")
        self._workers = [self._start(role, index) for role, index in roles]

    def _publish(self, process: Process) -> None:
        network = NetworkConfig(**self._config["network"])
        with_env = make_env(self._env, str(BENCHMARKS), network.view)
        layout = make_model(network, with_env.spaces, self._config["hidden"])
        plain = Standardizer.identity(standardized_size(layout.spaces))
        vector = layout.initial(np.random.default_rng(0), -0.5)
        Weights((1, 0), vector, plain, 0, False).publish(process.publisher("weights"))

    def _wiring(self, role: str, index: int) -> Wiring:
        replicas = {"learner": 1, "evaluator": 1, "actor": self._actors, "inference": 1}
        wired = {
            each.name: ChannelWiring(
                **vars(each),
                addresses=tuple(f"ipc://{self._folder}/{each.name}-{n}" for n in range(replicas[each.binds])),
            )
            for each in self._algorithm.channels
        }
        return Wiring(
            "bench", role, index, 1, self._algorithm.role(role).entry_point, replicas, wired,
            f"ipc://{self._folder}/control", role == "learner", str(self._folder), 1,
            code=str(BENCHMARKS), env=self._env, config=self._config,
        )  # fmt: skip

    def _start(self, role: str, index: int) -> psutil.Popen:
        path = self._folder / f"{role}-{index}.json"
        self._wiring(role, index).write(path)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (self._folder / f"{role}-{index}.log").open("wb") as log:
            command = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)]
            return psutil.Popen(command, stdout=log, stderr=log, env=environment)

    def measure(self, seconds: float) -> Measured:
        """Count fragments for so many seconds, from when every actor has sent one."""
        seen: set[str] = set()
        while len(seen) < self._actors:
            message = self._experience.recv(timeout=120)
            assert message is not None, [path.read_text()[-500:] for path in self._folder.glob("*.log")]
            seen.add(message.sender)
        began, busy, fragments = time.perf_counter(), self._busy(), 0
        while time.perf_counter() < began + seconds:
            fragments += self._experience.recv(timeout=1) is not None
        took, used = time.perf_counter() - began, self._busy() - busy
        replica: dict[str, float] = {}
        while (report := self._metrics.recv(timeout=0)) is not None:
            if report.sender.startswith("inference"):
                replica.update(report.meta)
        return Measured(fragments * self._size / took, used / took, replica)

    def _busy(self) -> float:
        return sum(sum(each.cpu_times()[:2]) for each in self._workers)

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._session.close()


@contextmanager
def site(*settings: Any) -> Iterator[Site]:
    """A site in a folder of its own."""
    with TemporaryDirectory(prefix="sri") as folder:
        made = Site(Path(folder), *settings)
        try:
            yield made
        finally:
            made.close()


def compare(network: str, options: argparse.Namespace) -> None:
    """Print one line for each way."""
    found: dict[str, list[Measured]] = {"local": [], "central": []}
    for _ in range(options.rounds):
        for way, rows in found.items():
            with site(way, network, options.actors, options.copies, options.batch) as made:
                rows.append(made.measure(options.seconds))
    for way, rows in found.items():
        middle = statistics.median_low(row.rate for row in rows)
        row = next(row for row in rows if row.rate == middle)
        each = ", ".join(f"{key} {row.replica[key]:.3g}" for key in REPORTED if key in row.replica)
        per_core = row.rate / max(row.cores, 1e-9)
        print(
            f"{network:14} {way:8} {row.rate:9,.0f}/s {row.cores:5.2f} cores {per_core:9,.0f}/core s  {each}",
            flush=True,
        )


REPORTED = ("batch_fill", "latency_p50_ms", "latency_p99_ms")


def main() -> None:
    """Measure what is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["mlp", "nature-cnn", "impala-resnet"])
    parser.add_argument("--actors", type=int, default=8)
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    load = subprocess.run(["uptime"], capture_output=True, text=True).stdout.strip()
    print(f"{options.actors} actors x {options.copies} copies; {load}")
    for network in options.networks:
        compare(network, options)


if __name__ == "__main__":
    main()
