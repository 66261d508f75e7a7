"""The real `surreal` command in a process of its own, on pipes or on a terminal."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SURREAL = [sys.executable, "-P", str(Path(sys.executable).with_name("surreal"))]
EXPERIMENT = """\
apiVersion: surreal.dev/v1alpha1
kind: Experiment
metadata: {name: pole}
spec:
  env: {id: CartPole-v1, copies: 2}
  algorithm: {name: ppo, config: {total_steps: 100_000_000, fragment_steps: 64, numba: false}}
  roles:
    actor: {replicas: 1, resources: {cpu: 0.5, memory: 512Mi}}
    learner: {resources: {cpu: 0.5, memory: 512Mi}}
"""


def surreal(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the command off a terminal, to its end."""
    command = [*SURREAL, *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False)


def experiment_file(folder: Path) -> Path:
    """An experiment that trains until it is ended."""
    path = folder / "experiment.yaml"
    path.write_text(EXPERIMENT)
    return path


class Terminal:
    """A command on a pseudo-terminal: what it shows, and keys to press."""

    def __init__(self, descriptor: int, process: "subprocess.Popen[bytes]") -> None:
        self.shown = ""
        self._descriptor = descriptor
        self._process = process

    def wait_for(self, text: str, seconds: float = 120.0) -> None:
        """Until this text has been shown."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in:\n{self.shown}"
            assert self._read() or text in self.shown, f"ended without {text!r}:\n{self.shown}"

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._descriptor, keys)

    def end(self) -> int:
        """Wait for its end; the exit code."""
        while self._read():
            pass
        return self._process.wait(120)

    def _read(self) -> bool:
        """Take in what is shown within a second; False at the end."""
        if select.select([self._descriptor], [], [], 1.0)[0]:
            try:
                piece = os.read(self._descriptor, 65536)
            except OSError:  # Linux says EIO when the other side is closed
                return False
            self.shown += piece.decode(errors="replace")
            return bool(piece)
        return True


@contextmanager
def terminal(*arguments: str | Path, term: str = "xterm") -> Iterator[Terminal]:
    """Run the command on a terminal of its own, which Ctrl-C reaches as a person's does."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", LEAD_THE_TERMINAL, *SURREAL[1:], *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


LEAD_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
