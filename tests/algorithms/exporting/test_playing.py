"""Episodes of a policy become a video whose frames are those of the environment, or one sentence says why not."""

import shutil
from pathlib import Path
from typing import Any

import gymnasium
import imageio.v3
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.exporting import playing
from surreal.algorithms.exporting.playing import play
from surreal.protocol.errors import InvalidInput


class Lamp(gymnasium.Env[Any, Any]):
    """Five steps, each drawn brighter than the one before, in an image that is no multiple of 16."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, self.steps = render_mode, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == 5, False, {}

    def render(self) -> Any:
        return np.full((20, 30, 3), 50 * self.steps, np.uint8)


class Dark(Lamp):
    """An environment that draws nothing."""

    def render(self) -> Any:
        return None


LAMP, DARK = f"{__name__}:Lamp", f"{__name__}:Dark"


def mp4(path: Path) -> list[Any]:
    """The frames of a video; imageio's own reader leaves its pipes open."""
    import cv2

    reader, frames = cv2.VideoCapture(str(path)), []
    while (read := reader.read())[0]:
        frames.append(read[1])
    reader.release()
    return frames


def policy(_: Any) -> Any:
    return np.zeros(1, int)


@pytest.fixture(autouse=True)
def no_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environments that draw by themselves need no renderer of MuJoCo's."""
    monkeypatch.setenv("MUJOCO_GL", "egl")


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_a_video_has_a_frame_for_each_step_in_whole_blocks(tmp_path: Path, ending: str) -> None:
    video = tmp_path / f"lamp{ending}"
    found = play(policy, LAMP, video=video, episodes=2)
    assert (found.returns, found.lengths) == ((5.0, 5.0), (5, 5))
    frames = np.stack(list(imageio.v3.imiter(video)) if ending == ".gif" else mp4(video))
    assert frames.shape[1:3] == (32, 32)
    brightness = frames[:, 10, 15, 0].astype(int)
    assert len(frames) == 10
    np.testing.assert_allclose(brightness, 2 * [0, 50, 100, 150, 200], atol=8)
    assert [path.name for path in tmp_path.iterdir()] == [video.name]


def test_what_cannot_be_drawn_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"play: '.*Dark' draws no frame. Give it a render\(\) that returns"):
        play(policy, DARK, video=tmp_path / "a.gif")
    with pytest.raises(InvalidInput, match=r"--video: 'a.avi' has no known ending. Name a file .mp4 or .gif"):
        play(policy, LAMP, video="a.avi")
    with pytest.raises(InvalidInput, match="--video: there is no folder"):
        play(policy, LAMP, video=tmp_path / "none" / "a.gif")
    with pytest.raises(InvalidInput, match="env: the policy does not say its environment. Name one"):
        play(policy, video="a.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_an_encoder_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(InvalidInput, match=r"--video: .mp4 needs ffmpeg. Install it: pip install 'surreal\[video\]'"):
        play(policy, LAMP, video=tmp_path / "a.mp4")


def test_mujoco_without_any_renderer_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr(playing, "_works", lambda _: False)
    monkeypatch.setattr(playing, "has_display", lambda: False)
    monkeypatch.setattr(Lamp, "render", lambda _: (_ for _ in ()).throw(RuntimeError("no EGL")))
    with pytest.raises(InvalidInput, match="draws no frame: RuntimeError: no EGL. .*apt-get install libegl1"):
        play(policy, LAMP, video=tmp_path / "a.gif")


@pytest.mark.slow
def test_mujoco_is_drawn_without_a_display(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    program = (
        "import numpy as np, surreal; from surreal.algorithms.exporting import playing; "
        "playing.has_display = lambda: False; surreal.play(lambda _: np.zeros((1, 3)), 'Hopper-v5', video='hopper.gif')"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    if "apt-get install" in done.stderr:
        pytest.skip("there is neither EGL nor OSMesa")
    assert done.returncode == 0, done.stderr
    frames = np.stack(list(imageio.v3.imiter(tmp_path / "hopper.gif")))
    assert frames.shape[1:] == (480, 480, 3)
    assert frames.std() > 30, "the frames are empty"
