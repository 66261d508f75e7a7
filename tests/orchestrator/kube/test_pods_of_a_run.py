"""A whole run as its pods would have it, without a cluster: the wirings that the Kubernetes backend makes, real keys,
TCP, the variables that Kubernetes sets; pods die, come back and end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.recording.checkpoint import Checkpoints
from surreal.orchestrator.backends.kube.manifests.network import Network, wiring_files
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan, PlannedStorage
from surreal.orchestrator.run.wiring import key_files
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.transport.curve_keys import write_key_files
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.object_store import ObjectStore, fetch
from surreal.protocol.worker.termination import TerminationMessage
from surreal.provisioner.pools.local import local_pool
from tests.orchestrator.documents import load_text
from tests.ports import free_port
from tests.protocol.conftest import until

TEXT = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: tiny}
spec:
  env: {id: CartPole-v1, copies: 4}
  algorithm:
    name: ppo
    config: {total_steps: 100_000_000, numba: false, fragment_steps: 32, minibatch: 32, epochs: 2, hidden: [16, 16],
             evaluate_every_seconds: 1, evaluate_episodes: 1}
  roles:
    actor: {replicas: 2}
  checkpoints: {everySeconds: 1}
  seed: 1
"""


@dataclass
class Pods:
    """The pods of one run, each in a folder of its own as far as it matters."""

    folder: Path
    plan: Plan
    started: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = write_key_files(key_files(self.plan), self.folder)
        ports: dict[str, int] = {}
        for role, text in wiring_files(Network(self.plan), has_code=False).items():
            data = json.loads(local(text, ports))
            data |= {"keys": str(keys[role]), "run_folder": str(self.folder / role)}
            data |= {"termination": str(self.folder / f"{role}.end")}
            (self.folder / role).mkdir()
            self.wiring(role).write_text(json.dumps(data))

    def wiring(self, role: str) -> Path:
        return self.folder / f"{role}-wiring.json"

    def change(self, role: str, **config: Any) -> None:
        """Another config from the next start on."""
        wiring = Wiring.read(self.wiring(role))
        self.wiring(role).write_text(json.dumps(asdict(replace(wiring, config={**wiring.config, **config}))))

    def start(self, role: str, index: int = 0, **failed: int) -> None:
        """Start a pod; `SURREAL_FAILURES=1` for the second one."""
        kubernetes = {
            "JOB_COMPLETION_INDEX": index,
            "SURREAL_ATTEMPT": 1,
            "SURREAL_FAILURES": "",
            "SURREAL_IGNORED": "",
        }
        variables = {name: str(value) for name, value in {**kubernetes, **failed}.items()}
        with (self.folder / f"{role}-{index}.pod").open("ab") as log:
            self.started[f"{role}/{index}"] = subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.protocol.worker", str(self.wiring(role))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **variables},
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """As a node that is gone."""
        os.killpg(self.started[name].pid, signal.SIGKILL)
        self.started[name].wait()

    def log(self, role: str, index: int = 0) -> str:
        return (self.folder / f"{role}-{index}.pod").read_text()

    def rows(self) -> list[dict[str, Any]]:
        path = self.folder / "learner" / "metrics" / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def steps(self) -> int:
        return max((row["steps"] for row in self.rows() if "updates" in row), default=0)


def local(text: str, ports: dict[str, int]) -> str:
    """The same wiring on this machine: every address of a pod is a port of the loopback interface."""
    for host in [part.partition('"')[0] for part in text.split("tcp://")[1:]]:
        text = text.replace(f"tcp://{host}", f"tcp://127.0.0.1:{ports.setdefault(host, free_port())}")
    return text


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    planned = make_plan(load_text(tmp_path, TEXT), [local_pool()])
    stored = PlannedStorage(kind="url", url=f"file://{tmp_path}/bucket")
    pods = Pods(tmp_path, planned.model_copy(update={"storage": stored}))
    yield pods
    for process in pods.started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def learned(pods: Pods) -> Callable[[], bool]:
    """Has the run got further since now?"""
    before = pods.steps()
    return lambda: pods.steps() > before


def test_a_run_outlives_the_deaths_of_its_pods_and_ends_for_all_of_them(pods: Pods, tmp_path: Path) -> None:
    for role in pods.plan.roles:
        for index in range(role.replicas):
            pods.start(role.name, index)
    until(learned(pods), "the first steps")
    pods.kill("actor/1")
    pods.start("actor", 1, SURREAL_FAILURES=1)
    until(lambda: "actor/1 joined: incarnation 100001" in pods.log("learner"), "the actor's successor")
    until(learned(pods), "steps with it")

    pods.started["learner/0"].send_signal(signal.SIGTERM)
    assert pods.started["learner/0"].wait(120) == ExitCode.PREEMPTED
    stopped = TerminationMessage.parse((tmp_path / "learner.end").read_text())
    saved = Checkpoints(tmp_path / "learner" / "checkpoints", 2).newest()
    assert stopped and saved and stopped.exit == "PREEMPTED" and stopped.progress["steps"] <= saved.steps
    (tmp_path / "learner").rename(tmp_path / "gone-with-the-pod")
    (tmp_path / "learner").mkdir()
    pods.change("learner", total_steps=saved.steps + 20_000)
    pods.start("learner", SURREAL_IGNORED=1)
    codes = {name: process.wait(120) for name, process in pods.started.items()}
    assert codes == dict.fromkeys(("learner/0", "actor/0", "actor/1", "evaluator/0"), ExitCode.DONE)
    assert f"resumed from step {saved.steps}" in pods.log("learner")

    ended = TerminationMessage.parse((tmp_path / "learner.end").read_text())
    assert ended and ended.exit == "DONE"
    progress = Progress(**ended.progress)  # type: ignore[arg-type]
    assert progress.steps >= saved.steps + 20_000 == progress.total_steps and progress.eval_return is not None
    logs = {path.name: path.read_text() for path in (tmp_path / "learner" / "logs").iterdir()}
    # the actor that was killed has a log if it had a reason to print
    assert sorted(logs.keys() - {"actor-1.100000.log"}) == [
        "actor-0.100000.log",
        "actor-1.100001.log",
        "evaluator-0.100000.log",
        "learner-0.100000.log",
        "learner-0.100001.log",
    ]
    assert "ends: done" in logs["learner-0.100001.log"] and "ends: done (the run is over)" in logs["actor-0.100000.log"]
    fetch(ObjectStore(f"file://{tmp_path}/bucket/tiny"), tmp_path / "later")
    kept = Checkpoints(tmp_path / "later" / "checkpoints", 2).newest()
    assert kept and kept.steps >= saved.steps + 20_000
    assert (tmp_path / "later" / "metrics" / "metrics.jsonl").read_bytes() == (
        tmp_path / "learner" / "metrics" / "metrics.jsonl"
    ).read_bytes()
