"""End of a script: what it started ends with it, also at SIGTERM, which `timeout` and batch systems send.

The suite and `scaling` go on later from runs that were cut: there learning.scheduler.Clock stops them instead.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

PATIENCE = 10.0
"""Seconds that a child has to end by itself."""
SURREAL = str(Path(sys.executable).with_name("surreal"))


def unwind_at_sigterm() -> None:
    """Have SIGTERM end this program as sys.exit does. By itself it runs no `finally`."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    # A second one would cut short what the first began.
    signal.signal(number, lambda *_: None)
    sys.exit(128 + number)


@contextmanager
def own_home() -> Iterator[str]:
    """Provide a new SURREAL_HOME. Its runs and files go when the block ends, by an error, a Ctrl-C or SIGTERM too."""
    unwind_at_sigterm()
    with tempfile.TemporaryDirectory() as home:
        try:
            yield home
        finally:
            _end_children(home)
            end_runs(home)


def _end_children(home: str) -> None:
    """End what would make a run in a SURREAL_HOME only once it is gone: by SIGTERM, at which it removes its files.

    The children are asked for: a signal in the midst of Popen leaves a process that no variable knows.
    """
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if child.environ().get("SURREAL_HOME") == home:
                child.terminate()
                with suppress(psutil.TimeoutExpired):
                    child.wait(PATIENCE)
                child.kill()
                child.wait()


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and wait until it is gone."""
    process.kill()
    process.wait()


def end_runs(home: str) -> None:
    """Delete all sweeps and runs in a SURREAL_HOME."""
    # A sweep first, since it would begin other runs.
    for folder in ("sweeps", "experiments"):
        if names := [each.name for each in Path(home, folder).glob("*")]:
            environment = {**os.environ, "SURREAL_HOME": home}
            subprocess.run([SURREAL, "delete", "--yes", *names], env=environment, capture_output=True, check=False)
