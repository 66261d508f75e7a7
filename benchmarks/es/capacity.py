"""Workers that one ES master serves: real sockets and a real master, workers whose returns are drawn.

    python benchmarks es.capacity [--workers 500 1000 2000 3000 4000] [--seconds 15] [--generation 2]

Each simulated worker (simulated.py) has its own connections and does what a real one does with weights and results,
but instead of rolling out episodes it lets the time pass that 10,000 environment steps a second in episodes of 1,000
steps take. A policy of 49,000 parameters; a generation is `generation` seconds' episodes of all workers. Measured for
`seconds` once all workers are at work. Reported: seconds until they were; episodes a second that the master used, and
that over those that the workers could have made; the shares of the workers' time that went into what was given up or
came too late, or in which they were blocked; what the master took, in cores: all of it, its working thread, the threads
of libzmq, and the rest, which is mostly its I/O thread; the share of time in updates; what the simulation itself took
and how late it was at worst; bytes of results.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import mean
from typing import Any

import psutil

from learning.ending import end
from learning.numbers import count, per_second, positive
from surreal.algorithms.registry import ES
from surreal.protocol.wiring import ChannelWiring, Wiring

HERE = Path(__file__).parent
EPISODES_PER_SECOND = 10.0
CHUNK = 8
"""Mirrored pairs in one message of results."""
HIDDEN = [210, 210]
PER_PROCESS = 500
"""Simulated workers in one process."""
PORTS = (20_000, 30_000)
SETTLE = 4.0
"""Seconds after the last worker has begun; the results that have piled up meanwhile are used up by then."""
PATIENCE = 30.0
"""Seconds after that in which the master must have heard them all."""
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def addresses(names: list[str]) -> dict[str, str]:
    """Return name -> a TCP address of this machine that no process uses, nor takes for the near end of a connection."""
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        port = random.randrange(*PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports.values():
                ports[names[len(ports)]] = port
    return {name: f"tcp://127.0.0.1:{port}" for name, port in ports.items()}


def wiring(folder: Path, role: str, index: int, workers: int, population: int, at: dict[str, str]) -> Wiring:
    """The place of the master, or of one simulating process."""
    config = ES.config(population=population, hidden=HIDDEN, chunk=CHUNK, total_steps=10**12)
    channels = {c.name: ChannelWiring(**vars(c), addresses=(at[c.name],)) for c in ES.channels}
    return Wiring(
        experiment="capacity",
        role=role,
        index=index,
        incarnation=1,
        run=ES.role(role).entry_point,
        replicas={"master": 1, "worker": workers, "evaluator": 0},
        channels=channels,
        control=at["control"],
        serves_control=role == "master",
        run_folder=str(folder),
        seed=1,
        env={"id": "HalfCheetah-v5", "copies": 1, "options": {}},
        config=config.model_dump(mode="json"),
        checkpoints={"everySeconds": 600, "keep": 1},
    )


def measure(workers: int, seconds: float, generation: float) -> dict[str, float]:
    """One master and `workers` simulated workers in a few processes."""
    population = 2 * int(workers * EPISODES_PER_SECOND * generation / 2)
    with tempfile.TemporaryDirectory(prefix="s") as path, ExitStack() as stack:
        folder = Path(path)
        at = addresses([*(channel.name for channel in ES.channels), "control"])
        wiring(folder, "master", 0, workers, population, at).write(folder / "master.json")
        with (folder / "log").open("wb") as log:
            worker = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(folder / "master.json")]
            master = subprocess.Popen(worker, env=QUIET, stderr=log)
        stack.callback(end, master)
        began = time.monotonic()
        simulators = []
        for first in range(0, workers, PER_PROCESS):
            place = folder / f"simulator-{first}.json"
            wiring(folder, "worker", workers + first, workers, population, at).write(place)
            simulators.append(start_simulator(place, first, min(PER_PROCESS, workers - first)))
            stack.callback(end, simulators[-1])
        await_all(folder, workers, simulators)
        joined = time.monotonic() - began
        time.sleep(SETTLE)
        before = look(master, simulators)
        time.sleep(seconds)
        after = look(master, simulators)
        time.sleep(1.5)  # a row of metrics has to come yet
        rows = metrics(folder, "master/0")
        return {"workers": workers, "joined_seconds": joined, **summary(rows, before, after, workers)}


def start_simulator(place: Path, first: int, number: int) -> subprocess.Popen[str]:
    """A few hundred of the workers."""
    words = [str(place), str(first), str(number), str(EPISODES_PER_SECOND)]
    command = [sys.executable, "-P", str(HERE / "simulated.py"), *words]
    return subprocess.Popen(command, env=QUIET, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def await_all(folder: Path, workers: int, simulators: list[subprocess.Popen[str]]) -> None:
    """Wait until every worker is at work and its beats are heard."""
    for simulator in simulators:
        tell(simulator)
    deadline = time.monotonic() + PATIENCE
    while heard(folder) < workers:
        if time.monotonic() > deadline:
            log = (folder / "log").read_text()
            sys.exit(f"of {workers} workers {heard(folder)} are heard after {PATIENCE:.0f} s\n{log[-2000:]}")
        time.sleep(0.1)


def heard(folder: Path) -> int:
    """Members whose beats the master has heard."""
    with suppress(FileNotFoundError):
        rows = json.loads((folder / "channels.json").read_text())["channels"]
        return sum(int(row["depth"]) for row in rows if row["channel"] == "control")
    return 0


def tell(simulator: subprocess.Popen[str]) -> dict[str, float]:
    """The next line of a simulator."""
    assert simulator.stdout is not None
    line = simulator.stdout.readline()
    if not line:
        sys.exit("a simulator ended before its time")
    told: dict[str, float] = json.loads(line)
    return told


def look(master: subprocess.Popen[bytes], simulators: list[subprocess.Popen[str]]) -> dict[str, float]:
    """Return the time, what the simulators have done, and the CPU seconds that all processes have used."""
    for simulator in simulators:
        assert simulator.stdin is not None
        simulator.stdin.write("\n")
    told = [tell(simulator) for simulator in simulators]
    process = psutil.Process(master.pid)
    threads = {each.id: each.user_time + each.system_time for each in process.threads()}
    libzmq = [each for each in threads if "ZMQ" in Path(f"/proc/{master.pid}/task/{each}/comm").read_text()]
    return {
        "time": time.time(),
        "lag": max(each.pop("lag") for each in told),
        **{name: sum(each[name] for each in told) for name in told[0]},
        "master": sum(threads.values()),
        "working": threads[master.pid],
        "libzmq": sum(threads[each] for each in libzmq),
    }


def metrics(folder: Path, name: str) -> list[dict[str, Any]]:
    """Rows of one process."""
    rows = [json.loads(line) for line in (folder / "metrics" / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["role"] == name]


def summary(
    rows: list[dict[str, Any]], before: dict[str, float], after: dict[str, float], workers: int
) -> dict[str, float]:
    """Figures of the time between two looks."""
    spent = {name: after[name] - before[name] for name in after}
    seconds, within = spent["time"], [row for row in rows if before["time"] <= row["time"] <= after["time"]]
    rate = per_second(within, "episodes", "--seconds", "time")
    first, last = within[0], within[-1]
    late = last["dropped_late"] - first["dropped_late"]
    available, message = workers * EPISODES_PER_SECOND, 2 * CHUNK
    return {
        "episodes_per_second": rate,
        "of_possible": rate / available,
        "given_up": spent["lost"] / (workers * seconds),
        "late": late / max(last["episodes"] - first["episodes"] + late, 1),
        "blocked": spent["blocked"] / (workers * seconds),
        "master_cores": spent["master"] / seconds,
        "working_thread": spent["working"] / seconds,
        "libzmq": spent["libzmq"] / seconds,
        "other_threads": (spent["master"] - spent["working"] - spent["libzmq"]) / seconds,
        "share_in_updates": mean(row["share_learning"] for row in within),
        "staleness": mean(row["staleness"] for row in within),
        "simulators_cores": spent["cpu"] / seconds,
        "simulators_lag": after["lag"],
        "bytes_per_episode": spent["bytes"] / max(spent["episodes"], 1),
        "messages_per_second": rate / message,
    }


def figure(value: float) -> str:
    """Return a figure as in a table."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.005 or not value else f"{value:.1g}"


def main() -> None:
    """Measure each number of workers; a line of JSON each to stdout, at last a table in Markdown to stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=count, nargs="+", default=[500, 1000, 2000, 3000, 4000])
    parser.add_argument("--seconds", type=positive, default=15.0)
    parser.add_argument("--generation", type=positive, default=2.0)
    args = parser.parse_args()
    if args.seconds < 2 * args.generation:
        # the master writes a row once a generation
        parser.error(f"--seconds: {args.seconds:g} are less than two generations of {args.generation:g}. Give more.")
    results = []
    for workers in args.workers:
        results.append(measure(workers, args.seconds, args.generation))
        print(json.dumps(results[-1]), flush=True)
    print("\n| workers |" + "".join(f" {result['workers']:,} |" for result in results), file=sys.stderr)
    print("|---|" + "--:|" * len(results), file=sys.stderr)
    for name in list(results[0])[1:]:
        cells = "".join(f" {figure(result[name])} |" for result in results)
        print(f"| {name.replace('_', ' ')} |{cells}", file=sys.stderr)


if __name__ == "__main__":
    main()
