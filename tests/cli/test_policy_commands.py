"""`surreal eval`, `play` and `export` of a run, of a folder, and of an exported file."""

import json
import shlex
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


def test_an_export_replaces_no_file_and_takes_no_ending_of_another_format(lamp: Path, tmp_path: Path) -> None:
    npz = tmp_path / "lamp.npz"
    assert surreal("export", "lamp", "--policy", "last", "--out", npz).returncode == 0
    before = npz.read_bytes()
    done = surreal("export", "lamp", "--policy", "last", "--format", "onnx", "--out", npz, "--force")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"ends as a file of npz, not onnx. Name it '{tmp_path}/lamp.onnx'." in done.stderr
    done = surreal("export", "lamp", "--policy", "last", "--out", npz)
    assert (done.returncode, npz.read_bytes() == before) == (2, True)
    assert done.stderr == f"--out: '{npz}' is there already. Name another file, or give --force.\n"
    assert surreal("export", "lamp", "--policy", "last", "--out", npz, "--force").returncode == 0


def test_what_an_environment_prints_is_no_data(lamp: Path) -> None:
    module = lamp / "code" / "lamps.py"
    module.write_text(module.read_text().replace("self.steps = 0", "self.steps = 0; print('it is lit')"))
    done = surreal("eval", "lamp", "--policy", "last", "--episodes", "2", "-o", "json")
    assert json.loads(done.stdout)["returns"] == [5.0] * 2
    assert done.stderr.count("it is lit") == 2
    to = lamp / "lit"
    done = surreal("record", "lamp", "--policy", "last", "--episodes", "2", "--to", to, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["episodes"], done.stderr.count("it is lit")) == (2, 2)
    small = ("--updates", "1", "--seeds", "1", "--true", "2", "-o", "json")
    done = surreal("offline", "estimate", "lamp", "--policy", "last", "--dataset", to, *small)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["true"] and done.stderr.count("it is lit") >= 1


@pytest.mark.parametrize(("rewards", "code", "mean"), [("float('nan')", 1, None), ("self.reward", 0, 5.0)])
def test_episodes_without_a_return_are_null_and_counted_once(
    lamp: Path, rewards: str, code: int, mean: float | None
) -> None:
    # of two episodes the second one is bad
    begin = "self.steps = 0; self.reward = 1.0 if seed == 1 else float('inf')"
    changed = ENVIRONMENT.replace("self.steps = 0", begin).replace(" 1.0, self.steps", f" {rewards}, self.steps")
    (lamp / "code" / "lamps.py").write_text(changed)
    done = surreal("eval", "lamp", "--policy", "last", "--episodes", "2", "--seed", "1", "-o", "json")
    bad = 2 if mean is None else 1
    assert (done.returncode, done.stderr) == (
        code,
        f"warning: lamp: {bad} of 2 episodes met NaN or infinity and have no return\n",
    )
    data = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(word))
    assert (data["mean"], data["returns"]) == (mean, [mean, None])


@pytest.mark.parametrize(
    "arguments", [("eval", "lamp", "--env", "Nope-v0"), ("offline", "estimate", "lamp", "--dataset", "nope")]
)
def test_an_environment_or_dataset_that_is_not_there_is_wrong_input(lamp: Path, arguments: tuple[str, ...]) -> None:
    done = surreal(*arguments, "--policy", "last")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_without_the_policy_asked_for_is_named(lamp: Path) -> None:
    done = surreal("eval", "lamp")
    assert (done.returncode, done.stdout) == (5, "")
    has = "lamp: has no best policy: no evaluation has finished. Its newest checkpoint is of step 20."
    assert done.stderr == f"{has} Run: surreal eval lamp --policy last\n"
    done = surreal("record", "lamp", "--to", lamp / "data", "--episodes", "2")
    assert (done.returncode, done.stdout) == (5, "") and not (lamp / "data").exists()
    assert done.stderr == f"{has} Run: surreal record lamp --to {lamp}/data --episodes 2 --policy last\n"
    assert surreal("export", "lamp").stderr == f"{has} Run: surreal export lamp --policy last\n"
    assert surreal(*shlex.split(done.stderr.rpartition("Run: surreal ")[2])).returncode == 0
    to = lamp / "its file.npz"
    done = surreal("export", lamp, "--policy", "best", "--code", lamp / "code", "--out", to, "--force")
    assert done.stderr.endswith(f"Run: surreal export {lamp} --code {lamp}/code --out '{to}' --force --policy last\n")
    assert surreal(*shlex.split(done.stderr.rpartition("Run: surreal ")[2])).returncode == 0 and to.is_file()
    home.new_folder("young").make()
    done = surreal("eval", "young")
    said = "young: has no best policy: no evaluation has finished, and no checkpoint is saved. Wait for a checkpoint."
    assert (done.returncode, done.stderr) == (5, f"{said}\n")
    assert "did you mean 'lamp'" in surreal("export", "lanp").stderr
    done = surreal("eval", "nosuch.npz")
    assert (done.returncode, "'nosuch.npz': there is no such file." in done.stderr) == (5, True)
