"""Replay on this machine: what one shard inserts and samples, and what more shards bring.

    python benchmarks speed.replay insert [--senders 2] [--steps 256]
    python benchmarks speed.replay sample [--items 1000000] [--prioritized] [--messages]
    python benchmarks speed.replay priorities
    python benchmarks speed.replay table [--shards 1 2 3 5] [--actors 16 128 512]

Shards are worker processes with real sockets, this process is the learner, and actors are sockets in other processes
that send one recorded fragment again and again. A transition has 1,016 bytes: two observations of 124 float32, an
action of 4, a reward and a discount. A shard is sent each observation once, which makes 520 bytes a step.
"""

import argparse
import copy
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import zmq

from surreal.algorithms.replay.client import ReplayClient
from surreal.algorithms.replay.config import EXPERIENCE, PRIORITIES, REPLAY, SAMPLE, ReplaySettings
from surreal.algorithms.replay.samplers import Prioritized
from surreal.algorithms.replay.shared_memory import SharedMemory
from surreal.protocol.graph import Stream
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.transport.node import Node
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session

CHANNELS = (EXPERIENCE, SAMPLE, PRIORITIES, Stream("metrics", "replay", "learner", lossy=True))
OBSERVATION, ACTION, BATCH = 124, 4, 256
REST = 0.002
"""Seconds that a sending process waits when all of its windows are full."""


def fragment(steps: int) -> dict[str, np.ndarray]:
    """A fragment of one copy without an episode's end."""
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(steps + 1, 1, OBSERVATION)).astype(np.float32),
        "actions": rng.normal(size=(steps, 1, ACTION)).astype(np.float32),
        "rewards": rng.normal(size=(steps, 1)).astype(np.float32),
        "terminated": np.zeros((steps, 1), np.bool_),
        "truncated": np.zeros((steps, 1), np.bool_),
    }


def addresses(folder: Path, name: str, count: int) -> tuple[str, ...]:
    """The sockets of a channel."""
    return tuple(f"ipc://{folder}/{name}-{index}" for index in range(count))


class Site:
    """Shards of a run, and this process as its learner."""

    def __init__(self, folder: Path, shards: int, config: dict[str, Any]) -> None:
        self._folder, self.shards, self.config = folder, shards, config
        self._session = Session(self._wiring("learner", 0))
        self.client = ReplayClient(Process(self._session), ReplaySettings.of(config, shards))
        self.workers = [self._start(index) for index in range(shards)]
        self.senders: list[subprocess.Popen[bytes]] = []

    def _wiring(self, role: str, index: int) -> Wiring:
        replicas = {"learner": 1, "replay": self.shards, "actor": 4096}
        wired = {
            each.name: ChannelWiring(**vars(each), addresses=addresses(self._folder, each.name, replicas[each.binds]))
            for each in CHANNELS
        }
        return Wiring(
            "bench", role, index, 1, REPLAY.entry_point, replicas, wired, f"ipc://{self._folder}/control",
            role == "learner", str(self._folder), 1, config=self.config,
        )  # fmt: skip

    def _start(self, index: int) -> psutil.Popen:
        path = self._folder / f"replay-{index}.json"
        self._wiring("replay", index).write(path)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (self._folder / f"replay-{index}.log").open("wb") as log:
            command = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)]
            return psutil.Popen(command, stdout=log, stderr=log, env=environment)

    def send(self, actors: int, processes: int, steps: int, most: int = 0) -> None:
        """Start `actors` that send fragments of `steps` as fast as they are taken, `most` steps together at most."""
        for number in range(processes):
            count = actors * (number + 1) // processes - actors * number // processes
            words = [self._folder, self.shards, number * actors // processes, count, steps, most // processes]
            command = [sys.executable, "-P", __file__, "send", *map(str, words)]
            self.senders.append(subprocess.Popen(command))

    def inserted(self) -> tuple[int, float]:
        """Steps inserted now, and the time."""
        for shard in self.client._shards:
            shard.heard(shard._client.call({}, {"count": 0}, 60.0))
        return self.client.steps, time.perf_counter()

    def busy(self) -> float:
        """CPU seconds that the busiest shard has used."""
        return max(sum(each.cpu_times()[:2]) for each in self.workers)

    def signal(self, number: int) -> None:
        """Send a signal to the sending processes."""
        for process in self.senders:
            process.send_signal(number)

    def close(self) -> None:
        """End all processes."""
        for process in self.senders:
            process.kill()
            process.wait()
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.client.close()
        self._session.close()


@contextmanager
def site(shards: int = 1, prioritized: bool = False, capacity: int = 1_000_000) -> Iterator[Site]:
    """A site without a rate limit."""
    replay = {"capacity": capacity, "min_size": 1, "snapshot_seconds": 0.0}
    replay |= {"priority_exponent": 0.6} if prioritized else {}
    with TemporaryDirectory(prefix="srl") as folder:
        made = Site(Path(folder), shards, {"batch": BATCH, "replay": replay})
        try:
            yield made
        finally:
            made.close()


def send(folder: Path, shards: int, first: int, count: int, steps: int, most: int) -> None:
    """Keep the windows of `count` actors full; stop after `most` steps, 0 for never."""
    node, streams, arrays, sent = Node(f"actor/{first}", 1), [], fragment(steps), 0
    node.context.set(zmq.MAX_SOCKETS, 4 * count * shards + 100)
    for index in range(first, first + count):
        each = copy.copy(node)  # another name in the same process
        each.name = f"actor/{index}"
        streams.append(ShardedSender(each, addresses(folder, "experience", shards), EXPERIENCE.window, lossy=True))
    while not most or sent < most:
        now = sum(stream.send(arrays) for stream in streams)
        sent += now * steps
        if not now:
            time.sleep(REST)
    for stream in streams:
        stream.flush(600)


def turns(options: argparse.Namespace) -> Iterator[int]:
    """Yield the number of each round; with --turns when a line comes in, so that another library may be between."""
    print("ready", file=sys.stderr, flush=True)
    for number in range(options.rounds):
        if not options.turns or sys.stdin.readline():
            yield number


def filled(made: Site, steps: int) -> None:
    """Wait until the shards have so many steps."""
    while made.inserted()[0] < steps:
        time.sleep(0.1)


def insert(options: argparse.Namespace) -> None:
    """Print the steps that one shard takes in each second."""
    with site() as made:
        made.send(options.senders, options.senders, options.steps)
        filled(made, 1)
        made.signal(signal.SIGSTOP)
        for _ in turns(options):
            made.signal(signal.SIGCONT)
            (steps, began), cpu = made.inserted(), made.busy()
            time.sleep(options.seconds)
            later, now = made.inserted()
            made.signal(signal.SIGSTOP)
            rate = (later - steps) / (now - began)
            used = (made.busy() - cpu) / (now - began)
            print(
                f"insert: {rate:,.0f} transitions of 1,016 bytes a second, {rate * 520 / 1e6:,.0f} MB/s; "
                f"{options.senders} senders, {options.steps} steps a fragment, shard's cores {used:.2f}",
                flush=True,
            )


def sample(options: argparse.Namespace) -> None:
    """Print the batches that the learner gets each second out of one full shard."""
    if options.messages:
        SharedMemory.make = classmethod(lambda cls, nbytes: None)  # type: ignore[assignment, method-assign]
    with site(prioritized=options.prioritized) as made:
        made.send(1, 1, 250, options.items)
        filled(made, options.items * 999 // 1000)
        for _ in turns(options):
            made.client.metrics()
            began, cpu, count = time.perf_counter(), made.busy(), 0
            while (now := time.perf_counter()) < began + options.seconds:
                batch = made.client.sample()
                assert batch is not None
                count += 1
                if options.prioritized:
                    made.client.update_priorities(batch.ids, batch.weights)
            held = made.client.metrics()["replay_items"]
            way = "in messages" if options.messages else "through shared memory"
            print(f"sample: {count / (now - began):,.0f} batches of {BATCH} a second {way}, prioritized: "
                  f"{options.prioritized}, {held:,.0f} items, shard's cores "
                  f"{(made.busy() - cpu) / (now - began):.2f}", flush=True)  # fmt: skip


def priorities(options: argparse.Namespace) -> None:
    """Print how long a prioritized draw of 256 out of 1e6 takes, and setting as many priorities."""
    rng, size = np.random.default_rng(0), 1_000_000
    sampler = Prioritized(0.6, size, rng)
    sampler.added(0, size)
    sampler.update(np.arange(size), rng.random(size))
    draws, updates = [], []
    for _ in range(2000):
        began = time.perf_counter()
        drawn = sampler.draw(BATCH, 0, size)
        done = time.perf_counter()
        sampler.update(drawn.items, rng.random(BATCH))
        draws.append(done - began)
        updates.append(time.perf_counter() - done)
    for name, values in (("draw", draws), ("update", updates)):
        print(f"{name} {BATCH} of {size:,}: median {statistics.median(values) * 1e6:.0f} us, "
              f"99 of 100 below {np.quantile(values, 0.99) * 1e6:.0f} us")  # fmt: skip


def table(options: argparse.Namespace) -> None:
    """Print insert rate and sample rate, both at once, over numbers of shards and actors."""
    print("| shards | actors | steps inserted/s | batches sampled/s | busiest shard, cores |\n|---|---|---|---|---|")
    for shards in options.shards:
        for actors in options.actors:
            with site(shards, capacity=200_000) as made:
                made.send(actors, options.processes, options.steps)
                filled(made, 50_000)
                for _ in range(50):
                    made.client.sample()
                (steps, began), cpu, count = made.inserted(), made.busy(), 0
                while time.perf_counter() < began + options.seconds:
                    made.client.sample()
                    count += 1
                later, now = made.inserted()
                span = now - began
                print(f"| {shards} | {actors} | {(later - steps) / span:,.0f} | {count / span:,.0f} | "
                      f"{(made.busy() - cpu) / span:.2f} |", flush=True)  # fmt: skip


def main() -> None:
    """Run what was asked for."""
    if sys.argv[1:2] == ["send"]:
        folder, *numbers = sys.argv[2:]
        send(Path(folder), *map(int, numbers))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["insert", "sample", "priorities", "table"])
    parser.add_argument("--senders", type=int, default=1)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--prioritized", action="store_true")
    parser.add_argument("--messages", action="store_true")
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 3, 5])
    parser.add_argument("--actors", type=int, nargs="+", default=[16, 128, 512])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", action="store_true", help="wait for a line of input before each round")
    options = parser.parse_args()
    globals()[options.what](options)


if __name__ == "__main__":
    main()
