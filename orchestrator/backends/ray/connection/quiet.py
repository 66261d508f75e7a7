"""Standard output and error without words of Ray's own, beside which a command's could not be read."""

import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

OF_RAY = re.compile(rb"\[\d{4}-\d\d-\d\d [\d:,]+ [DIWE] \d+ \d+\] \S+\.(?:cc|h):\d+: ")
"""Beginning of a line of Ray's core, but for the one in which it says why it ends the process."""
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
    try:
        error = os.dup(2)
    except OSError:  # a program without standard error
        yield
        return
    readable, writable = os.pipe()
    os.dup2(writable, 2)
    os.close(writable)
    passing = Thread(target=_pass_on, args=(readable, error), daemon=True)
    passing.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        if sys.stderr:
            sys.stderr.flush()
        os.dup2(error, 2)
        # a process that was started meanwhile may hold the other end
        passing.join(LAST_LINES_SECONDS)


def _pass_on(readable: int, error: int) -> None:
    """Write the lines that are not Ray's to `error`, until the last writer is gone."""
    with os.fdopen(readable, "rb") as lines, os.fdopen(error, "wb", buffering=0) as out:
        for line in lines:
            if not OF_RAY.match(line):
                out.write(line)
