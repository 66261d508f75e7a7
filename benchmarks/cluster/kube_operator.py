"""The operator on a real API server: seconds from apply to pods, memory, CPU, orphans.

    python benchmarks cluster.kube_operator --context CONTEXT [--experiments 500] [--samples 20] [--interleavings 200]

Jobs are the operator's work; pods are made by the Job controller of Kubernetes, which sends 20 requests a second.

Needs the definitions (`surreal schema crd | kubectl apply --server-side -f -`) and a control plane; no node. Makes a
namespace of its own, starts `surreal operator` in it and removes both at the end.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api

SMALL = {"actor": {"replicas": 1}}
LABEL = "app.kubernetes.io/instance={}"
KINDS = ("Job", "Pod", "Service", "NetworkPolicy", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "Secret")


def experiment(name: str, **spec: Any) -> dict[str, Any]:
    """Return a small experiment."""
    given = {"env": {"id": "CartPole-v1"}, "algorithm": {"name": "ppo", "config": {}}, "roles": SMALL, **spec}
    storage = {"storage": {"kind": "emptyDir"}}
    metadata = {"name": name}
    return {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment", "metadata": metadata, "spec": given | storage}


def until(condition: Callable[[], Any], seconds: float, pause: float = 0.05) -> float:
    """Return the seconds until the condition holds. Raises TimeoutError."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise TimeoutError
        time.sleep(pause)
    return time.monotonic() - begin


def to_pods(api: Api, name: str) -> tuple[float, float]:
    """Return the seconds from applying an experiment until its three Jobs are there, and until all have pods."""
    begin = time.monotonic()
    api.post("Experiment", experiment(name))
    until(lambda: len(api.list("Job", LABEL.format(name))) >= 3, 120)
    jobs = time.monotonic() - begin
    until(lambda: len(api.list("Pod", LABEL.format(name))) >= 3, 120)
    return jobs, time.monotonic() - begin


def summary(samples: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    """Return median and worst of each stage."""
    stages = zip(("Jobs", "pods"), zip(*samples, strict=True), strict=True)
    return {stage: [round(statistics.median(each), 2), round(max(each), 2)] for stage, each in stages}


class Operator:
    """The program, as a process of its own."""

    def __init__(self, context: str, namespace: str, log: Path) -> None:
        command = [
            str(Path(sys.executable).parent / "surreal"),
            "operator",
            "-n",
            namespace,
            "--context",
            context,
            "--port",
            "0",
            "--no-elect",
        ]
        self._log = log.open("ab")
        # as the chart has it
        settings = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=settings)

    def memory(self, which: str = "VmHWM") -> float:
        """Return the resident memory in MB: the most so far, or with VmRSS now."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(which)).split()[1]) / 1024

    def cpu(self) -> float:
        """Return the seconds of CPU so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def kill(self) -> None:
        """End it as a lost node does."""
        self.process.kill()
        self.process.wait()
        self._log.close()


def interleave(api: Api, start: Callable[[], Operator], count: int, dice: random.Random) -> list[str]:
    """Apply, edit, scale, delete and kill at random; return what is left that belongs to no experiment."""
    operator = start()
    for number in range(count):
        name = f"i{number % 10}"
        with suppress(SurrealError):
            match dice.randrange(5):
                case 0 | 1:
                    api.post("Experiment", experiment(name))
                case 2:
                    api.patch("Experiment", name, {"spec": {"suspend": bool(dice.getrandbits(1))}})
                case 3:
                    api.patch("Experiment", name, {"spec": {"replicas": dice.randrange(1, 4)}})
                case 4:
                    api.delete("Experiment", name)
        if dice.random() < 0.1:
            operator.kill()
            operator = start()
        time.sleep(dice.random() * 0.4)
    for each in api.list("Experiment"):
        api.delete("Experiment", each["metadata"]["name"])
    with suppress(TimeoutError):
        until(lambda: not left(api), 180, 1.0)
    operator.kill()
    return left(api)


def left(api: Api) -> list[str]:
    """Return all objects of experiments."""
    found = []
    for kind in KINDS:
        of_it = api.list(kind, "app.kubernetes.io/part-of=surreal")
        found += [f"{kind}/{each['metadata']['name']}" for each in of_it]
    return found


def measure(api: Api, options: argparse.Namespace, start: Callable[[], Operator]) -> dict[str, Any]:
    """Return the figures of apply, of many idle experiments, and of interleavings."""
    found: dict[str, Any] = {}
    operator = start()
    to_pods(api, "warm")
    alone = [to_pods(api, f"alone-{number}") for number in range(options.samples)]
    found["from apply, alone: median s, worst s"] = summary(alone)
    for number in range(options.experiments):
        with suppress(SurrealError):
            api.post("Experiment", experiment(f"idle-{number}"))
    until(lambda: _begun(api) >= options.experiments, 1800, 5.0)
    # the controllers of Kubernetes send 20 requests a second
    until(lambda: len(api.list("Pod")) >= 3 * options.experiments, 1800, 5.0)
    found["experiments"] = options.experiments
    busy = [to_pods(api, f"busy-{number}") for number in range(min(10, options.samples))]
    found["from apply, while pods of the others are made"] = summary(busy)
    time.sleep(options.settle)
    crowded = [to_pods(api, f"crowd-{number}") for number in range(options.samples)]
    found["from apply, beside the others"] = summary(crowded)
    time.sleep(options.settle)
    before, begin, memory = operator.cpu(), time.monotonic(), operator.memory("VmRSS")
    time.sleep(options.idle)
    spent = operator.cpu() - before
    found["idle: % of a core"] = round(100 * spent / (time.monotonic() - begin), 2)
    found["idle: memory before and after, MB"] = [round(memory, 1), round(operator.memory("VmRSS"), 1)]
    found["memory at most, MB"] = round(operator.memory(), 1)
    operator.kill()
    for each in api.list("Experiment"):
        api.delete("Experiment", each["metadata"]["name"])
    return found


def _begun(api: Api) -> int:
    return sum(bool((each.get("status") or {}).get("run")) for each in api.list("Experiment"))


def main() -> None:
    """Measure, print and clean up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", required=True)
    parser.add_argument("--experiments", type=int, default=500)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--interleavings", type=int, default=200)
    parser.add_argument("--settle", type=float, default=30)
    parser.add_argument("--idle", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("operator.log"))
    options = parser.parse_args()
    namespace = f"surreal-bench-{uuid.uuid4().hex[:6]}"
    api = Api.connect(None, options.context, namespace)
    api.post("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    started: list[Operator] = []
    try:
        found: dict[str, Any] = {}

        def start() -> Operator:
            started.append(Operator(options.context, namespace, options.log))
            return started[-1]

        if options.interleavings:
            found["orphans"] = interleave(api, start, options.interleavings, random.Random(options.seed))
            found["interleavings, seed"] = [options.interleavings, options.seed]
            print(json.dumps(found), flush=True)
        if options.samples:
            found |= measure(api, options, start)
        print(json.dumps(found, indent=1))
    finally:
        for each in started:
            each.kill()
        api.delete("Namespace", namespace)


if __name__ == "__main__":
    main()
