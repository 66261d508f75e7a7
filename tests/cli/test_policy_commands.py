"""`surreal eval`, `play` and `export` of a run, of a folder, and of an exported file."""

import json
from pathlib import Path

import gymnasium
import pytest

from surreal.algorithms.exporting.files import load_exported
from surreal.orchestrator.run import home
from tests.algorithms.saved import Odd, save_ppo
from tests.cli.test_main import surreal

ENVIRONMENT = """
import gymnasium
import numpy as np
from gymnasium import spaces

class Lamp(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space, action_space = spaces.Box(-1, 1, (2,), np.float32), spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.full(2, seed, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == 5, False, {}

    def render(self):
        return np.full((20, 30, 3), 50 * self.steps, np.uint8)
"""


@pytest.fixture
def lamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run on this machine with an environment of its own."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    folder = home.new_folder("lamp").path
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "lamps.py").write_text(ENVIRONMENT)
    space = gymnasium.spaces.Box(-1, 1, (2,))
    return save_ppo(folder, Odd(space, gymnasium.spaces.Discrete(2)), "lamps:Lamp")


def test_the_policy_of_a_run_is_evaluated_exported_and_filmed_with_its_own_code(lamp: Path, tmp_path: Path) -> None:
    done = surreal("eval", "lamp", "--policy", "last", "--episodes", "3", "--seed", "1", "-o", "json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert (data["env"], data["steps"], data["returns"], data["lengths"]) == ("lamps:Lamp", 20, [5.0] * 3, [5] * 3)

    npz = tmp_path / "lamp.npz"
    done = surreal("export", "lamp", "--policy", "last", "--out", npz)
    assert "output  action  int64 [n]" in done.stdout, done.stderr
    assert load_exported(npz).about["steps"] == 20
    done = surreal("eval", npz, "--episodes", "1", "--code", lamp / "code")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split() == ["lamp", "1", *["5.0", "0.0"], *3 * ["5.0"]], done.stderr

    video = tmp_path / "lamp.gif"
    done = surreal("play", lamp, "--policy", "last", "--video", video, MUJOCO_GL="egl")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert video.stat().st_size > 100


def test_a_run_without_the_policy_asked_for_is_named(lamp: Path) -> None:
    done = surreal("eval", "lamp")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "lamp: there is no best policy yet. No evaluation has finished. Use policy('last').\n"
    assert "did you mean 'lamp'" in surreal("export", "lanp").stderr
