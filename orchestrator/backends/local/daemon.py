"""The start of a supervisor: `python -P -m surreal.orchestrator.backends.local.daemon FOLDER LOCK`.

It leaves its caller's session and returns once the supervisor lives: 0, or 1 with the reason on standard output. LOCK
is the inherited, locked descriptor of supervisor.lock: it stays locked for as long as the supervisor lives.
"""

import os
import signal
import sys
import traceback
from pathlib import Path

from surreal.orchestrator.backends.local.run_files import read_plan
from surreal.orchestrator.backends.local.supervisor import Supervisor
from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import SurrealError

LIVES = b"lives"


def main() -> int:
    """Start the supervisor of the run in FOLDER; the exit status of the caller's process."""
    os.umask(0o077)
    os.set_inheritable(int(sys.argv[2]), False)
    folder = Folder(Path(sys.argv[1]))
    heard, told = os.pipe()
    # the caller waits for the first process only; the second has no parent to leave a zombie with
    if os.fork() == 0:
        os.close(heard)
        _supervise(folder, told)
        os._exit(0)  # the lock is free at once: nothing is left to tear down
    os.close(told)
    with os.fdopen(heard, "rb") as pipe:
        words = pipe.read()
    if words == LIVES:
        return 0
    print(words.decode(errors="replace") or "it died without a word")
    return 1


def _supervise(folder: Folder, told: int) -> None:
    """Supervise the run, after having told the first process that all is ready, or why not."""
    try:
        _leave_terminal()
        supervisor = Supervisor(folder, read_plan(folder))
    except (SurrealError, OSError) as error:
        os.write(told, str(error).encode())
        return
    except Exception:
        os.write(told, traceback.format_exc().encode())
        return
    os.write(told, LIVES)
    os.close(told)
    supervisor.run()


def _leave_terminal() -> None:
    """Close what the caller waits on, and hear the signals that a caller in the background may have ignored."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
