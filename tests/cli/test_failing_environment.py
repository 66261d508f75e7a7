"""Environments that fail in a real run: the cause is said at the first failure, and said to be theirs."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal, terminal
from tests.orchestrator.runs import events, until

TASK = '''
import gymnasium
import numpy as np


class Turns(gymnasium.Env):
    """After so many steps of its life it returns three numbers instead of two, or raises."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, how, after):
        self.how, self.after, self.steps = how, after, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t, self.steps = self.t + 1, self.steps + 1
        turned = self.steps >= self.after
        if turned and self.how == "raises":
            raise ConnectionError("the simulator lost its licence")
        return np.zeros(3 if turned else 2, np.float32), 1.0, False, self.t >= 20, {}
'''
FILE = """\
metadata: {{name: turns}}
spec:
  env: {{id: "turns:Turns", copies: 1, options: {{how: {how}, after: {after}}}}}
  algorithm:
    name: ppo
    config: {{total_steps: 1_000_000, fragment_steps: 128, minibatch: 128, epochs: 1, hidden: [4]}}
  roles: {{actor: {{replicas: 1}}}}
"""


def file(folder: Path, how: str, after: int) -> Path:
    """An experiment in that environment."""
    (folder / "turns.py").write_text(TASK)
    path = folder / "turns.yaml"
    path.write_text(FILE.format(how=how, after=after))
    return path


def test_another_shape_at_step_5000_ends_the_run_in_one_sentence_of_the_environment(
    place: LocalBackend, tmp_path: Path
) -> None:
    done = surreal("create", file(tmp_path, "shape", 5_000))
    assert done.returncode == ExitCode.FAILED and "Traceback" not in done.stderr, done.stderr
    said = (
        "environment 'turns:Turns': step() returned an observation of an array of shape (3,) and type float32, "
        "not numbers of shape (2,)"
    )
    assert said in done.stderr
    status = place.status("turns")
    assert status.state == "failed" and said in status.reason
    assert status.progress.steps > 3_000, "it was learned from until then"
    assert [each.restarts for each in status.roles["actor"]] == [0], "another start would not help"


def test_the_first_failure_is_said_at_once_and_not_after_the_last_start(place: LocalBackend, tmp_path: Path) -> None:
    assert surreal("create", "-d", file(tmp_path, "raises", 1)).returncode == ExitCode.DONE
    cause = "environment 'turns:Turns' raised ConnectionError in step: the simulator lost its licence"
    until(lambda: place.status("turns").over, "the run has failed")
    told = [line for line in events(place, "turns").splitlines() if "actor/0" in line and "started" not in line]
    assert cause in told[0] and "(1st time)" in told[0], "no start was tried before it was said"
    assert len(told) == 3, "three equal failures before the first step are enough"
    assert cause in place.status("turns").reason


@pytest.mark.bench
def test_seconds_until_the_first_sentence_on_a_failing_environment(place: LocalBackend, tmp_path: Path) -> None:
    """Print them, from the command and from the start of the actor; two seconds are what is aimed at."""
    began = time.monotonic()
    with terminal("create", file(tmp_path, "raises", 1)) as screen:
        screen.wait_for("the simulator lost its licence")
        shown = time.monotonic() - began
    lines = [line for line in events(place, "turns").splitlines() if "actor/0" in line]
    started, failed = (datetime.strptime(line.split()[0], "%H:%M:%S.%f") for line in lines[:2])
    print(f"{shown:.1f} s after the command, {(failed - started).total_seconds():.1f} s after the start of the actor")
