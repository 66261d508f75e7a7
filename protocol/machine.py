"""Identity of the machine that a process runs on: its boot, its clock, and the files that are seen there.

Two processes compare these texts, which each reads for itself. An empty one is equal to nothing: the system does not
say it, as on macOS.
"""

import os
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Random text that the kernel makes at each boot."""
CLOCK_OFFSETS = Path("/proc/self/timens_offsets")
"""Shifts of the clocks of this process's time namespace."""
MOUNTS = Path("/proc/self/ns/mnt")
"""The namespace of mounts, which has a number."""


@cache
def boot_id() -> str:
    """Return what is equal for all processes since one boot of a machine; empty where the system does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


@cache
def clock_name() -> str:
    """Return what tells the monotonic clock of this machine from others'; empty where the system does not say.

    All processes since one boot read one clock, unless a namespace moves it.
    """
    try:
        moved = CLOCK_OFFSETS.read_text() if CLOCK_OFFSETS.exists() else ""
    except OSError:
        return ""
    return f"{boot_id()} {moved}" if boot_id() else ""


def files_name() -> str:
    """Return what is equal for processes of one user that see the same files; empty where the system does not say.

    Containers of one machine have the same boot, and mounts of their own.
    """
    try:
        mounts = MOUNTS.stat().st_ino
    except OSError:
        return ""
    return f"{boot_id()} {mounts} {os.getuid()}" if boot_id() else ""
