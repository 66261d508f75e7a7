"""The whole of it, as a person uses it: `surreal create` trains PPO through all four layers, whatever is killed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.homes import Home

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "cheetah-ppo.yaml")
SMALL = {
    "metadata.name": "small",
    "spec.env.copies": "2",
    "spec.algorithm.config.fragment_steps": "64",
    "spec.algorithm.config.evaluate_episodes": "1",
    "spec.algorithm.config.numba": "false",
    "spec.checkpoints.everySeconds": "0.5",
}


class Training(Home):
    """A home that trains the example, small."""

    def create(self, steps: int, *words: str) -> subprocess.CompletedProcess[str]:
        settings = {**SMALL, "spec.algorithm.config.total_steps": str(steps)}
        sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        return self("create", EXAMPLE, *sets, *words)

    def until(self, condition: Callable[[Any], bool], seconds: float = 120.0) -> Any:
        deadline = time.monotonic() + seconds
        while not condition(status := self.status()):
            assert time.monotonic() < deadline, status
            time.sleep(0.1)
        return status


@pytest.fixture
def home() -> Iterator[Training]:
    with Training.temporary() as surreal:
        yield surreal


def test_an_experiment_trains_to_its_end(home: Training) -> None:
    done = home.create(2048)
    assert done.returncode == 0, done.stderr
    status = home.status()
    assert status["state"] == "succeeded"
    assert status["steps"] >= 2048
    assert [worker["restarts"] for role in status["roles"].values() for worker in role] == [0, 0, 0, 0]


def test_a_run_goes_on_when_an_actor_and_the_learner_are_killed(home: Training) -> None:
    home.create(10**9, "-d")
    running = home.until(lambda status: status["steps"] >= 512)
    os.kill(running["roles"]["actor"][1]["pid"], signal.SIGKILL)
    restarted = home.until(lambda status: status["roles"]["actor"][1]["restarts"] == 1)
    home.until(lambda status: status["steps"] > restarted["steps"] + 256)
    running = home.status()
    os.kill(running["roles"]["learner"][0]["pid"], signal.SIGKILL)
    status = home.until(lambda now: now["roles"]["learner"][0]["restarts"] == 1 and now["steps"] > running["steps"])
    assert status["state"] == "running"


def test_an_actor_told_to_end_by_a_signal_comes_back(home: Training) -> None:
    home.create(10**9, "-d", "--set", "spec.roles.actor.replicas=1")
    before = home.until(lambda status: status["steps"] >= 256)
    os.kill(before["roles"]["actor"][0]["pid"], signal.SIGTERM)
    home.until(lambda now: now["roles"]["actor"][0]["pid"] not in (None, before["roles"]["actor"][0]["pid"]))
    back = home.status()
    home.until(lambda now: now["steps"] > back["steps"] + 512)


def test_a_stopped_run_resumes_where_it_was(home: Training) -> None:
    home.create(10**9, "-d")
    home.until(lambda status: status["steps"] >= 512)
    assert home("stop", "small").returncode == 0
    stopped = home.status()
    assert stopped["state"] == "stopped"
    assert home("resume", "small", "-d").returncode == 0
    home.until(lambda status: status["state"] == "running" and status["steps"] > stopped["steps"])
    log = home.path / "experiments" / "small" / "logs" / "learner-0.2.log"
    # the supervisor writes what the learner has printed
    home.until(lambda _: f"resumed from step {stopped['steps']}" in log.read_text())


OWN_TASK = """
import gymnasium
import numpy as np


class Reach(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self, length):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x, self.t = self.np_random.uniform(-1, 1), 0
        return np.array([self.x, 0.0]), {}

    def step(self, action):
        self.x, self.t = float(np.clip(self.x + 0.2 * action[0], -1, 1)), self.t + 1
        return np.array([self.x, self.t / self.length]), -abs(self.x), False, self.t >= self.length, {}


gymnasium.register("Reach-v0", Reach)
"""
OWN_FILE = """
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: small}
spec:
  env: {id: "own_task:Reach-v0", copies: 2, options: {length: 10}}
  algorithm: {name: ppo, config: {total_steps: 256, fragment_steps: 32, evaluate_episodes: 1}}
"""


def test_an_environment_of_ones_own_lies_beside_the_experiment_file(home: Training) -> None:
    (home.path / "own_task.py").write_text(OWN_TASK)
    (home.path / "own.yaml").write_text(OWN_FILE)
    done = home("create", str(home.path / "own.yaml"))
    assert done.returncode == 0, done.stderr
    assert home.status()["steps"] >= 256
