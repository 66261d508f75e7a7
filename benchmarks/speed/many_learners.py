"""Recorded fragments of a thousand simulated actors to 1, 2 and 4 learners of PPO, and where each number saturates.

    python benchmarks speed.many_learners [--actors 1024] [--learners 1 2 4] [--seconds 15] [--epochs 1]

The learners are the real role in real processes. An actor is a connection of its own that sends a fragment, recorded
once from CartPole, whenever new weights are out; a few processes hold the connections of all. The table says what a
learner does with its time, and the processor time that learners and actors take: on few cores they share it.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.normalizers import Standardizer, over_leaves
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.registry import PPO
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.graph import METRICS
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node
from surreal.protocol.wiring import ChannelWiring, Wiring

HOLDERS = 4
"""Processes that hold the connections of the actors."""
COPIES = 1
ENV = {"id": "CartPole-v1", "copies": COPIES, "options": {}}
AHEAD = 2
"""Fragments that an actor sends with the first weights: as many as max_staleness: 1 lets it be ahead."""


def recorded(config: PPOConfig) -> dict[str, np.ndarray]:
    """The arrays of one real fragment."""
    envs = VectorEnvironments(lambda: make_env(ENV), COPIES, 1)
    layout = make_model(config.network, envs.spaces, config.hidden)
    policy = make_policy(layout)
    policy.load(layout.initial(np.random.default_rng(1), -0.5))
    rollout = Rollout(envs, policy, COPIES, config.fragment_steps, np.random.default_rng(1))
    size = envs.spaces.observation
    found = rollout.collect(over_leaves(Standardizer.identity(size), envs.spaces), lambda: False)
    envs.close()
    assert found is not None
    return found


def hold(path: str, first: int, count: int) -> None:
    """Be the actors `first` to `first + count`, until this process is killed."""
    wiring = Wiring.read(Path(path))
    arrays = recorded(PPOConfig(**wiring.config))
    node = Node(f"actor/{first}", 1)
    weights = Subscriber(node, wiring.channels["weights"].addresses[0])
    experience = wiring.channels["experience"]
    senders = []
    for index in range(first, first + count):
        own = copy.copy(node)  # the context and the loop are shared, names and connections are not
        own.name = f"actor/{index}"
        address = experience.addresses[index % len(experience.addresses)]
        senders.append(StreamSender(own, address, experience.window, finite=experience.finite))
    version, times = None, AHEAD
    while True:
        message = weights.wait(newer_than=version)
        version = message.version
        for sender in senders:
            for _ in range(times):
                sender.send(arrays, {}, version)
        times = 1


def wired(folder: Path, config: dict[str, Any], actors: int, learners: int, role: str, index: int) -> Path:
    """Write the wiring of one process."""
    replicas = {"learner": learners, "actor": actors, "evaluator": 1}
    channels = {
        each.name: ChannelWiring(
            **vars(each),
            addresses=tuple(
                f"ipc://{folder}/{each.name}-{number}"
                for number in range(1 if each.name == METRICS or each.binds == "actor" else replicas[each.binds])
            ),
        )
        for each in PPO.channels
    }
    path = folder / f"{role}-{index}.json"
    Wiring(
        experiment="bench", role=role, index=index, incarnation=1, run=PPO.role(role).entry_point, replicas=replicas,
        channels=channels, control=f"ipc://{folder}/control", serves_control=role == "learner" and index == 0,
        run_folder=str(folder), seed=1, env=ENV, config=PPOConfig(**config).model_dump(),
        checkpoints={"everySeconds": 1e6, "keep": 1},
    ).write(path)  # fmt: skip
    return path


def measure(actors: int, learners: int, seconds: float, config: dict[str, Any]) -> dict[str, float]:
    """Fragments per second, and shares of time and processors."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="s") as name, ExitStack() as stack:
        folder = Path(name)

        def start(*command: str) -> psutil.Process:
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen([sys.executable, "-P", *command], stderr=log, env=environment)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return psutil.Process(process.pid)

        roles = [wired(folder, config, actors, learners, "learner", index) for index in range(learners)]
        learning = [start("-m", "surreal.protocol.worker", str(path)) for path in roles]
        wiring, each = wired(folder, config, actors, learners, "actor", 0), -(-actors // HOLDERS)
        holding = [
            start(__file__, "--hold", str(wiring), str(first), str(min(each, actors - first)))
            for first in range(0, actors, each)
        ]
        deadline = time.monotonic() + 120
        while len(rows(folder)) < 2:
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        before, began = [spent(each) for each in (learning, holding)], len(rows(folder))
        start_at = time.monotonic()
        # a row needs a second and a whole update, which takes long where many share few cores
        while (took := time.monotonic() - start_at) < seconds or len(rows(folder)) < began + 3:
            assert took < seconds + 120, (folder / "log").read_text()[-2000:]
            time.sleep(0.5)
        cpu = [(spent(each) - old) / took for each, old in zip((learning, holding), before, strict=True)]
        found = rows(folder)[began - 1 :]
    steps, elapsed = found[-1]["steps"] - found[0]["steps"], found[-1]["elapsed"] - found[0]["elapsed"]
    shares = {name: float(np.mean([row[name] for row in found[1:]])) for name in found[0] if name.startswith("share_")}
    per_second = steps / elapsed / int(config["fragment_steps"]) / COPIES
    return {"fragments": per_second, "learners": cpu[0], "actors": cpu[1], **shares}


def rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of metrics of learner 0."""
    path = folder / "metrics" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if row["role"] == "learner/0" and "updates" in row]


def spent(processes: list[psutil.Process]) -> float:
    """Seconds of processor time of some processes."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, default=1024)
    parser.add_argument("--learners", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--minibatch", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=32)
    options = parser.parse_args()
    config = {
        "fragment_steps": options.steps, "epochs": options.epochs, "minibatch": options.minibatch,
        "total_steps": 10**12, "recompute_returns": False, "device": "cpu",
    }  # fmt: skip
    title = f"{options.actors:,} actors, fragments of {options.steps} steps, {os.cpu_count()} processors"
    table = Table("learners", "fragments/s", "waiting", "learning", "CPUs of learners", "CPUs of actors", title=title)
    for learners in options.learners:
        found = measure(options.actors, learners, options.seconds, config)
        shares = [f"{found[name]:.0%}" for name in ("share_waiting", "share_learning")]
        cpus = [f"{found[name]:.2f}" for name in ("learners", "actors")]
        table.add_row(str(learners), f"{found['fragments']:,.0f}", *shares, *cpus)
    Console().print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--hold"]:
        hold(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
