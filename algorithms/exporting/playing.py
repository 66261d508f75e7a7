"""Playing: episodes of a policy in a window or a video file."""

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.evaluate import Act, Evaluation, episode, made_for
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, InvalidInput

Quality = Literal["fast", "full"]
BACKENDS = {"egl": ("EGL", "libegl1 libgl1-mesa-dri"), "osmesa": ("OSMesa", "libosmesa6")}
"""Value of MUJOCO_GL -> library, and the Debian packages that bring it."""
PROBE = "import mujoco; mujoco.GLContext(16, 16).make_current()"
PROBE_SECONDS = 60.0
USUAL_FPS = 30
ENDINGS = (".mp4", ".gif")
BLOCK = 16
"""Pixels that the sides of a video are multiples of: its codec would stretch the frames otherwise."""


def has_display() -> bool:
    """Return True where a window can be opened."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def play(
    policy: Act,
    env: str | Mapping[str, Any] | None = None,
    *,
    video: Path | str | None = None,
    episodes: int = 1,
    seed: int = 1,
    quality: Quality = "fast",
    code: Path | str = "",
) -> Evaluation:
    """Run episodes in a window, or write them to the file `video` (.mp4, .gif). Returns their returns.

    `env` is by default the environment that the policy was trained in; `evaluate` says more about it and `code`.
    MuJoCo's frames are drawn without shadows, reflections and smooth edges, which cost ten times as much where no GPU
    draws; quality `full` has them. Raises InvalidInput where there is no display, no renderer or no encoder.
    """
    env = env if env is not None else getattr(policy, "about", {}).get("env")
    if env is None:
        raise InvalidInput("env: the policy does not say its environment. Name one.")
    if video is None:
        made = _rendering(policy, env, "human", code)
        try:
            return _played(made, policy, episodes, seed, lambda: None)
        finally:
            made.close()
    video = Path(video)
    if video.suffix not in ENDINGS:
        raise InvalidInput(f"--video: {str(video)!r} has no known ending. Name a file {' or '.join(ENDINGS)}.")
    if not has_display():
        _choose_backend()
    made = _rendering(policy, env, "rgb_array", code)
    try:
        return _filmed(made, policy, episodes, seed, video, quality)
    finally:
        made.close()


def _rendering(policy: Act, env: str | Mapping[str, Any], mode: str, code: Path | str) -> Environment:
    try:
        return made_for(policy, env, {"render_mode": mode}, code)
    except Fatal as error:
        text = str(error)
        hint = "Install it: pip install pygame." if "pygame" in text else "It needs gymnasium's render_mode."
        raise InvalidInput(f"play: {text}. {hint}" if "render" in text or "pygame" in text else text) from None


def _played(env: Environment, policy: Act, episodes: int, seed: int, look: Callable[[], object]) -> Evaluation:
    played = [episode(env, policy, seed + number, look) for number in range(episodes)]
    return Evaluation(tuple(total for total, _ in played), tuple(steps for _, steps in played))


def _filmed(env: Environment, policy: Act, episodes: int, seed: int, video: Path, quality: Quality) -> Evaluation:
    frames = _Frames(env, quality)
    with _writer(video, frames.fps) as write:
        return _played(env, policy, episodes, seed, lambda: write(frames()))


class _Frames:
    """Frames of an environment, cut to whole blocks."""

    def __init__(self, env: Environment, quality: Quality) -> None:
        self._env, self._plain = env, quality == "fast"
        inner: Any = env.gymnasium.unwrapped
        self._renderer = getattr(inner, "mujoco_renderer", None)
        self.fps = round(float((inner.metadata or {}).get("render_fps") or USUAL_FPS))
        if self._plain and self._renderer is not None:
            self._renderer.model.vis.quality.offsamples = 0

    def __call__(self) -> Array:
        """Return the present frame [height, width, 3], uint8. Raises InvalidInput for an environment without any."""
        try:
            frame = self._env.gymnasium.render()
        # A renderer fails in as many ways as there are drivers.
        except Exception as error:
            raise InvalidInput(f"play: {self._env.name!r} draws no frame: {_said(error)}. {_remedy(error)}.") from error
        if not isinstance(frame, np.ndarray) or frame.ndim != 3:
            raise InvalidInput(
                f"play: {self._env.name!r} draws no frame. Give it a render() that returns [height, width, 3] uint8."
            )
        if self._plain and self._renderer is not None:
            self._simplify()
        return _whole_blocks(frame[..., :3])

    def _simplify(self) -> None:
        """Draw the next frames without shadows and reflections."""
        from mujoco import mjtRndFlag  # type: ignore[attr-defined]

        assert self._renderer is not None
        self._plain, flags = False, self._renderer.viewer.scn.flags
        flags[mjtRndFlag.mjRND_SHADOW] = flags[mjtRndFlag.mjRND_REFLECTION] = 0


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")


def _remedy(error: Exception) -> str:
    return "Run pip install 'surreal[video]'" if "pygame" in str(error) else _ways()


def _whole_blocks(frame: Array) -> Array:
    """Return the frame with black on the right and below, up to whole blocks."""
    height, width = (-frame.shape[axis] % BLOCK for axis in (0, 1))
    return np.pad(frame, ((0, height), (0, width), (0, 0))) if height or width else np.ascontiguousarray(frame)


def _choose_backend() -> None:
    """Set MUJOCO_GL to a renderer that works without a display, before MuJoCo is imported. Raises InvalidInput."""
    if os.environ.get("MUJOCO_GL"):
        return
    for name, (library, _) in BACKENDS.items():
        if ctypes.util.find_library(library) and _works(name):
            os.environ["MUJOCO_GL"] = os.environ["PYOPENGL_PLATFORM"] = name
            return
    # Environments that draw by themselves need none; MuJoCo's say so when they draw.


def _works(name: str) -> bool:
    """Return whether MuJoCo can draw with a backend, asked in a process of its own: a choice cannot be taken back."""
    environment = {**os.environ, "MUJOCO_GL": name, "PYOPENGL_PLATFORM": name}
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _ways() -> str:
    ways = " or ".join(packages for _, packages in BACKENDS.values())
    return f"To draw without a display install EGL or OSMesa: apt-get install {ways}"


@contextmanager
def _writer(path: Path, fps: int) -> Iterator[Callable[[Array], object]]:
    """Open a video; it has its name once it is whole. Raises InvalidInput for a missing encoder or folder."""
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"--video: there is no folder {str(path.parent)!r}. Make it, or name another file.")
    unfinished = path.with_name(f".unfinished-{path.name}")
    encoder = _mp4(unfinished, fps) if path.suffix == ".mp4" else _gif(unfinished, fps)
    try:
        with encoder as write:
            yield write
        os.replace(unfinished, path)
    except OSError as error:
        raise InvalidInput(f"--video: {path}: {error.strerror or error}. Name another file.") from None
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _gif(path: Path, fps: int) -> Iterator[Callable[[Array], object]]:
    import imageio

    writer: Any = imageio.get_writer(path, mode="I", duration=1000 / fps, loop=0)
    with writer:
        yield writer.append_data


@contextmanager
def _mp4(path: Path, fps: int) -> Iterator[Callable[[Array], object]]:
    """Encode by ffmpeg: that of the system, or of imageio-ffmpeg."""
    process: subprocess.Popen[bytes] | None = None
    program = _ffmpeg()

    def write(frame: Array) -> None:
        nonlocal process
        if process is None:
            size = f"{frame.shape[1]}x{frame.shape[0]}"
            form = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(fps), "-i", "-"]
            coded = ["-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", str(path)]
            process = subprocess.Popen([program, "-y", "-loglevel", "error", *form, *coded], stdin=subprocess.PIPE)
        assert process.stdin
        process.stdin.write(frame.astype(np.uint8, copy=False).data)

    try:
        yield write
    finally:
        if process is not None and process.stdin:
            process.stdin.close()
            code = process.wait()
    if process is not None and code:
        raise InvalidInput(f"--video: ffmpeg failed (exit {code}). Its words are above; a .gif needs no ffmpeg.")


def _ffmpeg() -> str:
    """Return the program. Raises InvalidInput where there is none."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError:
        raise InvalidInput(
            "--video: .mp4 needs ffmpeg. Install it: pip install 'surreal[video]', or name a .gif."
        ) from None
    return str(imageio_ffmpeg.get_ffmpeg_exe())  # type: ignore[attr-defined, no-untyped-call]
