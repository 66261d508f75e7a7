"""CPU and memory of processes of this machine, each with its children, as the system counts them."""

import os
import subprocess
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from surreal.orchestrator.run.usage import Used

SECONDS = 0.5
"""Seconds over which CPU is measured; the system counts it in hundredths of a second."""


@dataclass(frozen=True)
class Sample:
    """CPU time that the processes of one group have used so far, and memory that they hold now."""

    cpu: float = 0.0
    """Seconds."""
    memory: int = 0
    """Bytes."""

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(self.cpu + other.cpu, self.memory + other.memory)


def measure(groups: Collection[int]) -> dict[int, Used]:
    """Measure for SECONDS what each process group uses with all its processes. Groups that end are left out."""
    if not groups:
        return {}
    before, began = sample(groups), time.monotonic()
    time.sleep(SECONDS)
    after, passed = sample(groups), time.monotonic() - began
    # a child that ended takes its seconds along
    return {
        group: Used(round(max(0.0, now.cpu - before[group].cpu) / passed, 3), now.memory)
        for group, now in after.items()
        if group in before
    }


def sample(groups: Collection[int]) -> dict[int, Sample]:
    """Return what these process groups have used so far. Groups without a living process are left out."""
    found: dict[int, Sample] = {}
    for group, one in _linux() if Path("/proc/self/stat").exists() else _ps():
        if group in groups:
            found[group] = found.get(group, Sample()) + one
    return found


def _linux() -> list[tuple[int, Sample]]:
    tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = []
    for entry in os.scandir("/proc"):
        # a process may end, or be another user's, between two looks
        with suppress(OSError, ValueError, IndexError):
            if entry.name.isdigit():
                # the command's name stands in parentheses and may hold anything, so count from the last one
                fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
                group, user, system, pages = (int(fields[number]) for number in (2, 11, 12, 21))
                found.append((group, Sample((user + system) / tick, pages * page)))
    return found


def _ps() -> list[tuple[int, Sample]]:
    answer = subprocess.run(["ps", "-A", "-o", "pgid=,time=,rss="], capture_output=True, text=True, check=False)
    found = []
    for line in answer.stdout.splitlines():
        with suppress(ValueError):
            group, spent, kilobytes = line.split()
            found.append((int(group), Sample(cpu_seconds(spent), int(kilobytes) * 1024)))
    return found


def cpu_seconds(text: str) -> float:
    """Convert `1-02:03:04` or `3:04.5`, as ps writes it, to seconds. Raises ValueError."""
    days, _, rest = text.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = 60 * seconds + float(part)
    return 86400 * int(days or 0) + seconds
