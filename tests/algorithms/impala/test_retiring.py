"""Actors that a run no longer needs: every step that they made is learned from."""

import os
import sys
from pathlib import Path

import pytest

from surreal.algorithms.registry import IMPALA
from surreal.protocol.worker.signals import RETIRE_SIGNAL
from tests.algorithms.fabric import Run, wait_for

COUNTED = """
import os

import gymnasium
import numpy as np


class Counted(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.log, self.t = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT), 0

    def reset(self, *, seed=None, options=None):
        self.t = 0
        return np.zeros(2, dtype=np.float32), {}

    def step(self, action):
        os.write(self.log, b".")
        self.t += 1
        return np.zeros(2, dtype=np.float32), 1.0, False, self.t >= 10, {}
"""


def test_every_step_of_actors_that_retire_is_learned_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counted.py").write_text(COUNTED)
    count = tmp_path / "count"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("COUNTED", str(count))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    config = {"total_steps": 10**9, "fragment_steps": 16, "batch_fragments": 1, "hidden": [4]}
    with Run(folder, config, actors=3, env="counted:Counted", algorithm=IMPALA) as run:
        run.start("learner")
        actors = [run.start("actor", index) for index in range(3)]
        wait_for(lambda: run.rows() and run.rows()[-1]["steps"] > 1000)
        for actor in actors:
            os.kill(actor.pid, RETIRE_SIGNAL)
        assert all(actor.wait(120) is not None for actor in actors)
        wait_for(lambda: run.rows(waiting=True)[-1]["steps"] == count.stat().st_size)
