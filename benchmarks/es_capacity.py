"""How many workers one ES master serves: real sockets and a real master, workers whose returns are drawn.

    python benchmarks/es_capacity.py [--workers 500 1000 2000 4000] [--seconds 20]

Each simulated worker has its own connections and does what a real one does with weights and results, but instead of
rolling out episodes it lets the time pass that 10,000 environment steps a second in episodes of 1,000 steps take. A
policy of 50,000 parameters; a generation is two seconds' episodes of all workers. Reported: episodes a second that the
master used, over those that the workers could have made; the share of the workers' time spent on what was given up,
dropped as too late, or blocked; the master's CPU; bytes per episode beside the weights.
"""

import argparse
import copy
import heapq
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zmq
from rich.console import Console
from rich.table import Table

from surreal.algorithms.catalog import ES
from surreal.algorithms.es.tasks import open_chunks
from surreal.algorithms.es.weights import read
from surreal.algorithms.es.worker import FRESH
from surreal.protocol.broadcast import Subscriber
from surreal.protocol.control import Member
from surreal.protocol.errors import SurrealError, Timeout
from surreal.protocol.message import Message
from surreal.protocol.node import Node
from surreal.protocol.stream_sender import StreamSender
from surreal.protocol.wiring import ChannelWiring, Wiring

EPISODES_PER_SECOND = 10.0
STEPS = 1000
CHUNK = 8
HIDDEN = [210, 210]
PER_PROCESS = 500
"""Simulated workers in one process."""
OBSERVATION = 17


class Simulated:
    """One worker: its connections and the chunk it is on."""

    def __init__(self, node: Node, wiring: Wiring, index: int) -> None:
        own = copy.copy(node)  # the I/O thread is shared, names and connections are not
        own.name = f"worker/{index}"
        self._weights = Subscriber(own, wiring.channels["weights"].addresses[0])
        results = wiring.channels["results"]
        self._results = StreamSender(own, results.addresses[0], results.window)
        self._member = Member(own, wiring.control)
        self._chunks, self._rng = open_chunks(index, 1), np.random.default_rng(index)
        self._message: Message | None = None
        self._started = 0.0
        self.lost = self.blocked = 0.0
        self.episodes = self.bytes = 0

    def wake(self, now: float) -> float:
        """Finish the chunk that is due, or give it up for one of newer weights; when to be woken next."""
        newest = self._weights.latest()
        if newest is None:
            return now + 0.05
        took = 2 * CHUNK / EPISODES_PER_SECOND
        if self._message is not None and not self._finish(newest):
            return now + 0.05
        self._message, self._started = newest, now
        return now + took * float(self._rng.uniform(0.95, 1.05))

    def _finish(self, newest: Message) -> bool:
        """Send the chunk's results; False where there is no room for them yet."""
        assert self._message is not None
        behind = newest.version[1] - self._message.version[1]
        seconds = 2 * CHUNK / EPISODES_PER_SECOND
        if behind > read(self._message).orders.max_staleness:
            self.lost += seconds
            return True
        if behind:  # a real worker would have begun anew if it had hardly begun when they came
            self.lost += FRESH / 2 * FRESH * seconds
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "returns": self._rng.standard_normal((CHUNK, 2)),
            "steps": np.full((CHUNK, 2), STEPS, dtype=np.uint32),
            "sums": np.full(2 * OBSERVATION + 1, 1000, dtype=np.int64),
        }
        try:
            self._results.send(arrays, {"chunk": next(self._chunks)}, self._message.version, timeout=0)
        except Timeout:
            self.blocked += 0.05
            return False
        self.episodes += 2 * CHUNK
        return True

    def sent_bytes(self) -> int:
        """Bytes of arrays sent so far."""
        return self._results.stats.bytes


def simulate(wiring: Wiring, first: int, count: int, seconds: float) -> dict[str, float]:
    """Be workers `first` ... `first` + `count` - 1 for `seconds`."""
    node = Node(wiring.name, wiring.incarnation)
    node.context.set(zmq.MAX_SOCKETS, 10 * count)  # five each; a thousand by default
    workers = [Simulated(node, wiring, first + n) for n in range(count)]
    rng, began = np.random.default_rng(first), time.monotonic()
    due = [(began + float(rng.uniform(0, 2)), n) for n in range(count)]
    heapq.heapify(due)
    lag = 0.0
    while due[0][0] < began + seconds:
        at, n = due[0]
        now = time.monotonic()
        if now < at:
            time.sleep(min(at - now, 0.01))
            continue
        lag = max(lag, now - at)
        heapq.heapreplace(due, (workers[n].wake(at), n))
    total = count * seconds
    episodes = sum(worker.episodes for worker in workers)
    return {
        "episodes": episodes,
        "lost": sum(worker.lost for worker in workers) / total,
        "blocked": sum(worker.blocked for worker in workers) / total,
        "lag": lag,
        "bytes_per_episode": sum(worker.sent_bytes() for worker in workers) / max(episodes, 1),
    }


def wiring(folder: Path, role: str, index: int, workers: int) -> Wiring:
    """The place of the master, or of one simulating process."""
    config = ES.config(
        population=int(2 * workers * EPISODES_PER_SECOND), hidden=HIDDEN, chunk=CHUNK, total_steps=10**12
    )
    channels = {
        c.name: ChannelWiring(c.name, c.kind, c.frm, c.to, (f"ipc://{folder}/{c.name}.ipc",), c.window, c.lossy)
        for c in ES.channels
    }
    return Wiring(
        experiment="capacity",
        role=role,
        index=index,
        incarnation=1,
        run=ES.role(role).run,
        replicas={"master": 1, "worker": workers, "evaluator": 0},
        channels=channels,
        control=f"ipc://{folder}/control.ipc",
        serves_control=role == "master",
        run_folder=str(folder),
        seed=1,
        env={"id": "HalfCheetah-v5", "copies": 1, "options": {}},
        config=config.model_dump(mode="json"),
        checkpoints={"everySeconds": 600, "keep": 1},
    )


def measure(workers: int, seconds: float) -> dict[str, float]:
    """One master and `workers` simulated workers in a few processes."""
    with tempfile.TemporaryDirectory(prefix="s") as path:
        folder = Path(path)
        wiring(folder, "master", 0, workers).write(folder / "master.json")
        quiet = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with (folder / "log").open("wb") as log:
            master = subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.protocol.worker", str(folder / "master.json")],
                env=quiet,
                stderr=log,
            )
        simulators = start_simulators(folder, workers, seconds, quiet)
        try:
            outputs = [json.loads(simulator.communicate()[0]) for simulator in simulators]
            cpu = sum(psutil.Process(master.pid).cpu_times()[:2])
        finally:
            for process in (*simulators, master):
                process.kill()
                process.wait()
        rows = [json.loads(line) for line in (folder / "metrics" / "metrics.jsonl").read_text().splitlines()]
        return summary([row for row in rows if row["role"] == "master/0"], outputs, workers, cpu)


def start_simulators(
    folder: Path, workers: int, seconds: float, environment: dict[str, str]
) -> list[subprocess.Popen[bytes]]:
    """All workers, a few hundred to a process."""
    processes = []
    for first in range(0, workers, PER_PROCESS):
        place = folder / f"simulator-{first}.json"
        wiring(folder, "worker", workers + first, workers).write(place)
        words = ["--simulate", str(place), str(first), str(min(PER_PROCESS, workers - first)), str(seconds)]
        processes.append(
            subprocess.Popen([sys.executable, "-P", __file__, *words], env=environment, stdout=subprocess.PIPE)
        )
    return processes


def summary(rows: list[dict[str, Any]], outputs: list[dict[str, float]], workers: int, cpu: float) -> dict[str, float]:
    """Figures of the time between the first row after a third and the last one."""
    first, last = rows[len(rows) // 3], rows[-1]
    rate = (last["episodes"] - first["episodes"]) / (last["elapsed"] - first["elapsed"])
    return {
        "workers": workers,
        "episodes_per_second": rate,
        "share_used": rate / (workers * EPISODES_PER_SECOND),
        "share_lost": float(np.mean([output["lost"] for output in outputs])),
        "share_blocked": float(np.mean([output["blocked"] for output in outputs])),
        "share_late": last["dropped_late"] / max(last["episodes"] + last["dropped_late"], 1),
        "master_cores": cpu / last["elapsed"],
        "master_learning": float(np.mean([row["share_learning"] for row in rows[len(rows) // 3 :]])),
        "staleness": float(np.mean([row["staleness"] for row in rows[len(rows) // 3 :]])),
        "simulators_lag": max(output["lag"] for output in outputs),
        "bytes_per_episode": float(np.mean([output["bytes_per_episode"] for output in outputs])),
    }


def main() -> None:
    """Measure each number of workers; a line of JSON each to stdout, at last a table to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--simulate", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.simulate:
        place, first, count, seconds = args.simulate
        print(json.dumps(simulate(Wiring.read(Path(place)), int(first), int(count), float(seconds))), flush=True)
        os._exit(0)
    results = []
    for workers in args.workers:
        results.append(measure(workers, args.seconds))
        print(json.dumps(results[-1]), flush=True)
    table = Table(*results[0])
    for result in results:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in result.values()))
    Console(stderr=True, width=200).print(table)


if __name__ == "__main__":
    try:
        main()
    except SurrealError as error:
        sys.exit(str(error))
