"""Standard output and error without words of Ray's own, beside which a command's could not be read."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

OF_RAY = r"^\[[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:,]+ [DIWE] [0-9]+ [0-9]+\] [^ ]+\.(cc|h):[0-9]+: "
"""Beginning of a line of Ray's core, but for the one in which it says why it ends the process."""
OTHERS = ("grep", "-a", "-v", "-E", "--line-buffered", OF_RAY)
"""Command that passes on all other lines. It is no thread, so that last words pass where Ray ends this process."""
LAST_LINES_SECONDS = 1.0


def quieten() -> None:
    """Keep Ray from printing the deaths of nodes on standard output, where documents go; `log_to_driver` does not."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = _say_nothing


def _say_nothing(*_: Any, **__: Any) -> None:
    return


@contextmanager
def without_words_of_ray() -> Iterator[None]:
    """Drop what Ray writes to standard error while it connects; the lines of others pass.

    It heeds its log settings only once it is connected.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        taken = None
        with suppress(OSError):  # a program without standard error, or a machine without grep
            taken = _take()
        try:
            yield
        finally:
            if taken:
                _give_back(*taken)


def _take() -> tuple[subprocess.Popen[bytes], int]:
    """Have all that is written to standard error filtered; return the filter, and what standard error was.

    Raises OSError where it cannot be.
    """
    error = os.dup(2)
    try:
        # in a session of its own: Ctrl-C is for this process, whose words on it still have to pass
        passing = subprocess.Popen(
            OTHERS, stdin=subprocess.PIPE, stdout=error, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError:
        os.close(error)
        raise
    assert passing.stdin
    os.dup2(passing.stdin.fileno(), 2)
    passing.stdin.close()
    return passing, error


def _give_back(passing: subprocess.Popen[bytes], error: int) -> None:
    """Make standard error what it was, once the last lines have passed."""
    with suppress(OSError, ValueError):  # its reader may be gone
        if sys.stderr:
            sys.stderr.flush()
    os.dup2(error, 2)
    os.close(error)
    # a process that was started meanwhile may hold the other end
    with suppress(subprocess.TimeoutExpired):
        passing.wait(LAST_LINES_SECONDS)
