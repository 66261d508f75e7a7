"""Owner of a run: a small process that stops the run when the program that started it is gone.

`python -P -m surreal.orchestrator.owner NAME` leaves its caller and reads its standard input, the end of a pipe that
only the caller can write to. The kernel closes the pipe even when the caller is killed.
"""

import os
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from surreal.protocol.errors import NotFound, SurrealError

if TYPE_CHECKING:
    from surreal.orchestrator.client import Run

RELEASE = b"."
"""Byte of a program that lets go of its run: the run is over, or must outlive the program."""
POLL_S = 2.0
"""Seconds between two checks that the run still exists."""


class Owner:
    """The program's end of the pipe. The program counts as dead when it closes without `release`."""

    def __init__(self, name: str) -> None:
        """Start to watch over the run `name`, which may not exist yet."""
        reading, self._pipe = os.pipe()
        try:
            # Ctrl-C in a terminal reaches the whole group; the watching process must survive it.
            subprocess.run(
                [sys.executable, "-P", "-m", __name__, name],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=True,
            )
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(reading)
        self._open = True

    def release(self) -> None:
        """Let go of the run: it may outlive this program."""
        if not self._open:
            return
        self._open = False
        try:
            os.write(self._pipe, RELEASE)
        except BrokenPipeError:
            pass  # The run was over, so the watching process has ended.
        finally:
            os.close(self._pipe)


def main(name: str) -> None:
    """Wait for the end or the release of the owner, or for the end of the run; stop the run if the owner is gone."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    from surreal.orchestrator.client import Run

    run, seen = Run.find(name), False
    while not select.select([sys.stdin.fileno()], [], [], POLL_S)[0]:
        try:
            if run.status().over:
                return
            seen = True
        except NotFound:
            # Before it was seen, the run is still being created; afterwards it was deleted.
            if seen:
                return
    if os.read(sys.stdin.fileno(), 1) != RELEASE:
        _stop(run)


def _stop(run: "Run") -> None:
    try:
        run.stop()
    except SurrealError:
        # The run was never created, or it is gone already.
        return


if __name__ == "__main__":
    # The caller waits for this process only; the child belongs to init and leaves no zombie.
    if os.fork() == 0:
        main(sys.argv[1])
