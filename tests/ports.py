"""Ports for tests: none that the system gives to outgoing connections, and none twice while a test process lives."""

import fcntl
import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from random import SystemRandom

RANGE = range(20_000, 32_000)
"""Linux gives outgoing connections ports from 32,768 on, other systems from 49,152 on."""
_given: set[int] = set()


def free_port() -> int:
    """Return a port of the loopback interface that nothing uses and that no other test is given.

    A port that was merely free a moment ago may be taken by another test, or by any connection, before it is bound.
    """
    while True:
        port = SystemRandom().choice(RANGE)
        if port not in _given and _reserve(port) and _is_free(port):
            _given.add(port)
            return port


@cache
def _reservations() -> int:
    """Return the descriptor of the file of which each test process locks the bytes of its ports."""
    path = Path(tempfile.gettempdir(), f"surreal-test-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _reserve(port: int) -> bool:
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
