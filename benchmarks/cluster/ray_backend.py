"""The Ray backend on a cluster of this machine: starts, rates beside local runs and RLlib, and what a dead node costs.

    python benchmarks cluster.ray_backend [start] [rate] [recover] [workers] [--rounds 3] [--steps 163840] [--rllib DIR]

A head without CPUs and two raylets on this machine, made for the measurement; without names of cases, all of
them. `start`: seconds from `surreal create --on ray:ADDRESS` to the first step, those of a start without Ray, and the
memory (PSS) of supervisor and hosts. `rate`: environment steps per second, and CPU seconds of a million steps, of
examples/cheetah-ppo.yaml here and on Ray, in turns, and of RLlib's PPO on the same cluster where `--rllib` names a
folder with the packages that it needs beside Ray (dm-tree, lz4); the first tenth of each run is not counted. `recover`:
seconds from the kill of an actor's raylet, then of the learner's, until that process steps again. `workers`: seconds
until `--workers` workers of evolution strategies run, beside those of as many actors that do nothing, which is what Ray
itself takes.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from rich.console import Console

from beside.ppo import EXAMPLE, from_metrics, peer
from learning.ending import SURREAL, own_home

# workers of Ray are nice, to the level of 15, and what they start is too: here all have the same right to the cores
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}
STORE_BYTES = 80_000_000
CPUS = 64
PATIENCE = 240.0
PARTS = ("surreal.protocol.worker", "ray::Host", "ray::Supervisor", "surreal.orchestrator.backends.local")
"""Parts of the names and command lines of a run's processes."""
talk = Console(stderr=True).print


class Place:
    """A cluster of this machine, and a home that it shares with local runs."""

    def __init__(self, home: Path) -> None:
        from ray.cluster_utils import Cluster

        self.home = home
        os.environ["SURREAL_HOME"] = str(home)
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
        self.cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            self.add()

    def add(self) -> None:
        """Start one more raylet."""
        self.cluster.add_node(num_cpus=CPUS, memory=64 * 2**30, object_store_memory=STORE_BYTES)

    def kill_node_of(self, process: dict[str, Any]) -> None:
        """Kill the raylet of a process, given as in the status document."""
        identity = process["node"][-7:-1]
        next(each for each in self.cluster.worker_nodes if each.node_id.startswith(identity)).kill_raylet()

    def create(self, name: str, data: dict[str, Any], on: str, *more: str) -> Path:
        """Create an experiment; its folder."""
        file = self.home / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**data, "metadata": {"name": name}}))
        done = subprocess.run([SURREAL, "create", str(file), "--on", on, *more], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{name}: {done.stderr[-2000:]}")
        return self.folder(name, on)

    def folder(self, name: str, on: str) -> Path:
        """Return the folder that a run has."""
        return self.home / ("ray" if on.startswith("ray") else "experiments") / name

    def delete(self, name: str, on: str) -> None:
        """Delete a run."""
        subprocess.run([SURREAL, "delete", name, "-y", "--on", on], check=True, capture_output=True)

    def status(self, folder: Path) -> dict[str, Any]:
        """Return the processes of a run, as its supervisor wrote them last: name -> record."""
        with suppress(OSError, ValueError):
            found = json.loads((folder / "status.json").read_text())["processes"]
            return {f"{each['role']}/{each['index']}": each for each in found}
        return {}

    @property
    def on(self) -> str:
        """The value of `--on`."""
        return f"ray:{self.cluster.address}"


def example(**config: Any) -> dict[str, Any]:
    """examples/cheetah-ppo.yaml with other values."""
    data: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    data["spec"]["algorithm"]["config"] |= config
    return data


def steps(folder: Path) -> int:
    """Return the steps that a run shows; 0 before the first."""
    with suppress(OSError, ValueError):
        return int(json.loads((folder / "progress.json").read_text())["steps"])
    return 0


def until(condition: Callable[[], object], what: str) -> float:
    """Return the seconds until something is so."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > PATIENCE:
            raise SystemExit(f"never: {what}")
        time.sleep(0.02)
    return time.perf_counter() - began


def memory(title: str) -> list[float]:
    """Return the PSS in MB of the actors of a class."""
    found = [each for each in psutil.process_iter(["name"]) if each.info["name"].startswith(f"ray::{title}")]
    return [each.memory_full_info().pss / 1e6 for each in found]


def cpu_seconds() -> dict[int, float]:
    """Return process id -> CPU seconds of the processes of runs: workers, and the hosts and supervisors of Ray."""
    found = {}
    for each in psutil.process_iter(["name", "cmdline", "cpu_times"]):
        words = f"{each.info['name']} {' '.join(each.info['cmdline'] or ())}"
        if each.info["cpu_times"] and any(part in words for part in PARTS):
            found[each.pid] = each.info["cpu_times"].user + each.info["cpu_times"].system
    return found


class Meter(threading.Thread):
    """CPU seconds of a run's processes while it runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._used, self._over = folder, dict[int, float](), threading.Event()
        self.samples: list[tuple[int, float]] = []
        """Steps so far, and CPU seconds so far."""

    def run(self) -> None:
        """Take a sample a second."""
        while not self._over.wait(1.0):
            self._used |= cpu_seconds()
            self.samples.append((steps(self._folder), sum(self._used.values())))

    def per_million(self, total: int) -> float:
        """End, and return CPU seconds for a million steps, after the first tenth of `total`."""
        self._over.set()
        self.join()
        counted = [sample for sample in self.samples if sample[0] >= total // 10]
        (first, before), (last, after) = counted[0], counted[-1]
        return 1e6 * (after - before) / (last - first) if last > first else float("nan")


def start(place: Place, args: argparse.Namespace) -> dict[str, float]:
    """Measure starts on the running cluster, the first of which warms its workers."""
    seconds, local, supervisor, hosts = [], [], 0.0, 0.0
    for number in range(args.rounds + 1):
        seconds.append(first_step(place, f"start-{number}", place.on))
        supervisor, hosts = max(memory("Supervisor")), statistics.mean(memory("Host"))
        place.delete(f"start-{number}", place.on)
        local.append(first_step(place, f"here-{number}", "local"))
        place.delete(f"here-{number}", "local")
    found = {"first": seconds[0], "seconds": statistics.median(seconds[1:]), "local": statistics.median(local[1:])}
    return {**found, "supervisor_mb": supervisor, "host_mb": hosts}


def first_step(place: Place, name: str, on: str) -> float:
    """Create a run; return the seconds until its first step."""
    began = time.perf_counter()
    folder = place.create(name, example(total_steps=50_000_000), on, "-d")
    until(lambda: steps(folder), "the first step")
    return time.perf_counter() - began


def rate(place: Place, args: argparse.Namespace) -> dict[str, list[float]]:
    """Measure rates in turns: here, on Ray, and of RLlib on the same cluster."""
    rates: dict[str, list[float]] = {"local": [], "ray": [], "local_cpu": [], "ray_cpu": [], "rllib": []}
    for number in range(args.rounds):
        for name, on in (("local", "local"), ("ray", place.on)):
            meter = Meter(place.folder(f"{name}-{number}", on))
            meter.start()
            folder = place.create(f"{name}-{number}", example(total_steps=args.steps), on)
            rates[f"{name}_cpu"].append(meter.per_million(args.steps))
            rates[name].append(from_metrics(folder / "metrics" / "metrics.jsonl", args.steps)["steps_per_second"])
            talk(f"round {number + 1}: {name}: {rates[name][-1]:.0f} steps/s, {rates[f'{name}_cpu'][-1]:.0f} CPU s/M")
        if args.rllib:
            found = peer(Path(sys.executable), "rllib.py", args.steps // 8, 1, "--address", place.cluster.address)
            rates["rllib"].append(found["steps_per_second"])
            talk(f"round {number + 1}: RLlib: {rates['rllib'][-1]:.0f} steps/s")
    return rates


def recover(place: Place, args: argparse.Namespace) -> dict[str, float]:
    """Measure what the death of a node costs; the role that is killed has a node of its own."""
    found = {}
    data = example(total_steps=50_000_000)
    data["spec"]["checkpoints"] = {"everySeconds": 5}
    roles = data["spec"]["roles"]
    roles["learner"]["resources"]["cpu"], roles["actor"]["resources"]["cpu"] = CPUS - 2, CPUS / 2
    for number, name in enumerate(args.killed * args.rounds):
        folder = place.create(f"recover-{number}", data, place.on, "-d")
        until(lambda folder=folder: list(folder.glob("checkpoints/step-*/manifest.json")), "a checkpoint")  # type: ignore[misc]
        before = place.status(folder)[name]
        place.add()
        began = time.perf_counter()
        place.kill_node_of(before)
        until(lambda: place.status(folder).get(name, before)["incarnation"] > before["incarnation"], f"{name} is back")  # noqa: B023
        known = steps(folder)
        until(lambda: steps(folder) > known, "it learns on")  # noqa: B023
        found[f"{name} {number // len(args.killed) + 1}"] = time.perf_counter() - began
        talk(f"{name}: steps again after {time.perf_counter() - began:.1f} s")
        place.delete(folder.name, place.on)
    return found


def workers(place: Place, args: argparse.Namespace) -> dict[str, float]:
    """Measure the start of many workers of evolution strategies."""
    small = {"cpu": 0.1, "memory": "64Mi"}
    spec = {
        "env": {"id": "CartPole-v1"},
        "algorithm": {"name": "es", "config": {"total_steps": 2_000_000_000}},
        # the same object twice would be written as an anchor, which experiment files may not have
        "roles": {"master": {"resources": {**small}}, "worker": {"replicas": args.workers, "resources": {**small}}},
    }
    data = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment", "spec": spec}
    empty = empty_actors(place.cluster.address, args.workers)
    began = time.perf_counter()
    folder = place.create("many", data, place.on, "-d")

    def at_work() -> object:
        record = place.status(folder)
        return sum(bool(each["pid"]) for name, each in record.items() if name.startswith("worker")) == args.workers

    until(at_work, "all run")
    seconds = time.perf_counter() - began
    talk(f"{args.workers} workers after {seconds:.0f} s, as many empty actors after {empty:.0f} s")
    used, cpu = sum(memory("Host")), sum(cpu_seconds().values())
    place.delete(folder.name, place.on)
    return {"workers": args.workers, "seconds": seconds, "cpu_s": cpu, "hosts_mb": used, "empty": empty}


def empty_actors(address: str, count: int) -> float:
    """Return the seconds until so many actors of a class without anything answer."""
    import ray

    class Empty:
        def ping(self) -> int:
            return os.getpid()

    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    began = time.perf_counter()
    actors: list[Any] = [ray.remote(Empty).options(num_cpus=0.01).remote() for _ in range(count)]
    assert len(set(ray.get([each.ping.remote() for each in actors]))) == count
    seconds = time.perf_counter() - began
    del actors
    ray.shutdown()
    return seconds


CASES = {"start": start, "rate": rate, "recover": recover, "workers": workers}


def main() -> None:
    """Measure the cases and print them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=163_840)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--killed", nargs="+", default=["actor/0", "learner/0"], help="Whose raylet is killed.")
    parser.add_argument("--rllib", type=Path, help="Folder with the packages that RLlib needs beside Ray.")
    args = parser.parse_args()
    if args.rllib:
        os.environ["PYTHONPATH"] = str(args.rllib)
    with own_home() as home:
        place = Place(Path(home))
        try:
            print(json.dumps({name: CASES[name](place, args) for name in args.cases or CASES}))
        finally:
            place.cluster.shutdown()


if __name__ == "__main__":
    main()
