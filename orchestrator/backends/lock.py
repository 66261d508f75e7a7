"""The lock that a living supervisor holds: who has it may start, resume or remove the run.

The system releases it when the holder dies, however it dies, so it never lies about who is alive.
"""

import fcntl
import os
import time

from surreal.orchestrator.home import Folder

POLL_SECONDS = 0.02


def acquire(folder: Folder, timeout: float = 0.0) -> int | None:
    """Take the lock: a descriptor that holds it until it is closed everywhere. None if another has it for so long."""
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
        time.sleep(POLL_SECONDS)


def is_held(folder: Folder) -> bool:
    """Does a supervisor live?"""
    try:
        descriptor = os.open(folder.lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # a shared lock, so that two who ask at once do not mistake each other for the supervisor
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_free(folder: Folder, timeout: float) -> bool:
    """Wait so many seconds for the supervisor's end; False if it still lives then."""
    deadline = time.monotonic() + timeout
    while is_held(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
