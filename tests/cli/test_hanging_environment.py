"""An environment whose step never returns: it is said where, the process is ended and started again."""

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

from surreal.cli.commands.run.list import command as list_command
from surreal.cli.ui.watch import view
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry import gauges
from tests.cli.terminal import surreal, terminal
from tests.orchestrator.runs import until

HANGING = '''
import ctypes
import pathlib
import time

import gymnasium
import numpy as np

EVALUATION = range(1_000_003, 1_000_103)


class Hanging(gymnasium.Env):
    """The first process of the run that has played 60 steps hangs, once; evaluations never do."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, how, flag):
        self.how, self.flag, self.steps, self.acts = how, pathlib.Path(flag), 0, True

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.acts, self.t = self.acts and seed not in EVALUATION, 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.t, self.steps = self.t + 1, self.steps + 1
        if self.acts and self.steps == 60:
            self.hang_once()
        return np.zeros(2, np.float32), 1.0, False, self.t >= 20, {}

    def hang_once(self):
        try:
            self.flag.mkdir()
        except FileExistsError:
            return
        if self.how == "sleep":
            time.sleep(600)
        ctypes.PyDLL(None).sleep(600)


gymnasium.register("Hanging-v0", Hanging)
'''
FILE = """\
metadata: {{name: hangs}}
spec:
  env: {{id: "hanging:Hanging-v0", copies: 1, options: {{how: {how}, flag: {flag}}}}}
  algorithm: {{name: ppo, config: {{total_steps: 2048, fragment_steps: 64, minibatch: 64, hidden: [4]}}}}
  roles: {{actor: {{replicas: {actors}}}}}
  hangSeconds: {limit}
"""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the environment, and a SURREAL_HOME whose run is deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="s") as path:
        monkeypatch.setenv("SURREAL_HOME", f"{path}/home")
        (Path(path) / "hanging.py").write_text(HANGING)
        yield Path(path)
        surreal("delete", "hangs", "-y")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("sleep", "actor/0 is inside env.step (hanging.py:"),
        ("in C", "actor/0 does not answer (frozen, or inside a call that blocks Python)"),
    ],
)
def test_a_step_that_hangs_is_shown_ended_and_the_run_succeeds(folder: Path, how: str, said: str) -> None:
    (folder / "hangs.yaml").write_text(FILE.format(how=how, flag=folder / "flag", actors=1, limit=10))
    assert surreal("create", "-d", folder / "hangs.yaml").returncode == 0
    with held_when_it_hangs(), terminal("status", "-w", "hangs") as watched:
        watched.wait_for(said)
    assert surreal("wait", "hangs").returncode == ExitCode.DONE
    supervisor = surreal("logs", "hangs", "supervisor").stdout
    assert said in supervisor and "ended, its stacks are in its log" in supervisor
    assert "its stack ends in hang_once (hanging.py:" in supervisor
    assert "in hang_once" in surreal("logs", "hangs", "actor").stdout
    processes = json.loads(surreal("status", "hangs", "-o", "json").stdout)["roles"]
    assert [each["restarts"] for each in processes["actor"]] == [1]


def test_a_run_that_a_hanging_actor_stops_says_no_progress_and_where_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # both limits are minutes as released; the learner waits for both actors before its first update
    monkeypatch.setattr(gauges, "STALE_AFTER_S", 2.0)
    (folder / "hangs.yaml").write_text(FILE.format(how="sleep", flag=folder / "flag", actors=2, limit=14))
    assert surreal("create", "-d", folder / "hangs.yaml").returncode == 0
    said = re.compile(
        r"no progress for \d+ s: (waiting for actor/[01]; )?actor/[01] is inside env\.step \(hanging\.py:\d+\)"
    )
    with held_when_it_hangs():
        until(lambda: all(said.search(text) for text in shown()), "the status, the list and the live view say it")


@contextmanager
def held_when_it_hangs() -> Iterator[None]:
    """Stop the supervisor, which would soon end the actor, once it has said that it hangs; let it go on at the end."""
    record = home.find("hangs")

    def hangs() -> bool:
        found = [each for each in RunRecord.read(record).processes if each.role == "actor" and each.since]
        return any("is starting" not in each.reason for each in found)

    until(hangs, "an actor is said to hang")
    supervising = psutil.Process(RunRecord.read(record).supervisor)
    supervising.suspend()
    try:
        yield
    finally:
        supervising.resume()


def shown() -> list[str]:
    """What the status, the list and the live view say of the run at one moment."""
    status = LocalBackend().status("hangs")
    screen = StringIO()
    Console(file=screen, width=200).print(view(status, []))
    return [status.reason, CliRunner().invoke(list_command).output, screen.getvalue()]
