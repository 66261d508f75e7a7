"""The pulse of worker processes, in memory that they share with the process that supervises them.

A worker's I/O thread writes one slot each second: a count of beats, and for how long its working thread has not moved
and where it is. A file would depend on a disk; this is an inherited descriptor of shared memory. The supervisor of a
machine and the first process of a pod read it in the same way.
"""

import json
import os
import re
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any

from surreal.protocol.transport.stats import ACTIVITY, FROZEN

VARIABLE = "SURREAL_PULSE"
"""Environment variable of a worker: `DESCRIPTOR:SLOT`."""
SLOT_BYTES = 512
EVERY_S = 1.0
"""Seconds between two beats."""
REPORT_AFTER_S = 2.0
"""Seconds without a move after which a worker looks where its working thread is."""
LOOK_S = 5.0
"""Seconds between two looks at a pulse, or a tenth of the limit where that is less."""
START_S = 120.0
"""Seconds that a process has at least until its first sign of life: imports, on a busy machine or a slow disk."""
MAX_TEXT = 200
_STACK = r"(?m)^(?:Current thread|Thread) 0x.*$"
_FRAME = r'(?m)^  File "(.+)", line (\d+) in (\S+)'
ENVIRONMENT_CALLS = ("step", "reset", "close", "render")


@dataclass(frozen=True)
class Reading:
    """One slot, as last written."""

    beat: int
    still: float
    """Seconds for which the working thread has not moved."""
    inside: str
    """Its place then: `env.step (my_env.py:12)`; empty while it moves."""
    doing: str = ""
    """The work that the process itself says it does for a while, moving or not: `compiles the gradients`."""

    @property
    def said(self) -> str:
        """The sentence on a process whose working thread does not move."""
        return self.doing or place(self.inside)


class Board:
    """The slots of all processes of a run. The supervising process makes it; workers inherit `descriptor`."""

    def __init__(self, slots: int) -> None:
        """Allocate the memory now, so that no write can fail later."""
        if hasattr(os, "memfd_create"):
            self.descriptor = os.memfd_create("surreal-pulse")
        else:
            with tempfile.TemporaryFile() as file:
                self.descriptor = os.dup(file.fileno())
        os.pwrite(self.descriptor, b"\0" * SLOT_BYTES * slots, 0)

    def clear(self, slot: int) -> None:
        """Forget what an earlier process wrote."""
        os.pwrite(self.descriptor, b"\0" * SLOT_BYTES, slot * SLOT_BYTES)

    def read(self, slot: int) -> Reading | None:
        """Return the newest reading; None before the first beat and while one is being written."""
        return parse(os.pread(self.descriptor, SLOT_BYTES, slot * SLOT_BYTES))

    def variable(self, slot: int) -> str:
        """Return the value of VARIABLE for the process of this slot."""
        return f"{self.descriptor}:{slot}"

    def close(self) -> None:
        """Give the memory back."""
        os.close(self.descriptor)


def parse(data: bytes) -> Reading | None:
    """Return the reading in the bytes of a slot; None where there is none."""
    try:
        row = json.loads(data.rstrip(b"\0 "))
        return Reading(int(row["beat"]), float(row["still"]), str(row["inside"]), str(row.get("doing", "")))
    except (ValueError, TypeError, KeyError):
        return None


def look_interval(limit: float) -> float:
    """Return the seconds between two looks, given the seconds without a move that are taken for a hang (0: never)."""
    return min(LOOK_S, limit / 10) if limit else LOOK_S


@dataclass
class Watch:
    """The judgement of one process by its pulse, over the readings since it was started.

    Time is added up look by look, at most twice the interval each: a machine that slept proves nothing.
    """

    beat: int = -1
    """The newest; -1 before the first."""
    silent: float = 0.0
    """Seconds since it came."""
    reading: Reading = Reading(0, 0.0, "")
    """The newest one."""

    def look(self, reading: Reading | None, passed: float) -> None:
        """Take in a reading, `passed` seconds after the one before."""
        if reading and reading.beat != self.beat:
            self.beat, self.silent, self.reading = reading.beat, 0.0, reading
        else:
            self.silent += passed

    @property
    def still(self) -> float:
        """Seconds without a sign of life: of the whole process, or of its working thread."""
        return max(self.reading.still, self.silent)

    @property
    def started(self) -> bool:
        """True once the process has shown its first sign of life."""
        return self.beat >= 0

    def hangs(self, limit: float, start: float = START_S) -> bool:
        """Return True once it has not moved for `limit` seconds; never for a limit of 0.

        `start` are the seconds that it has at least until its first sign of life.
        """
        return bool(limit) and self.still >= (limit if self.started else max(limit, start))

    @property
    def doing(self) -> str:
        """Its own word on what it does for a while; empty once it has been silent."""
        return self.reading.doing if self.silent <= LOOK_S else ""

    def worth_saying(self, soon: float) -> bool:
        """Return True where it has not moved for `soon` seconds, or says itself what it does."""
        return self.still >= soon or bool(self.doing)

    @property
    def where(self) -> str:
        """Its state where it does not move: `is inside env.step (my_env.py:12)`."""
        if self.doing:
            return self.doing
        if self.silent >= self.reading.still:
            return FROZEN if self.started else "is starting"
        return self.reading.said


def place(inside: str) -> str:
    """Return the sentence on a working thread that does not move."""
    return f"is inside {inside}" if inside else "does not move"


class Pulse:
    """The writing end, in a worker."""

    def __init__(self, descriptor: int, slot: int) -> None:
        """Prepare the record; `beat` is to be called each second, from a thread that serves the process."""
        self._descriptor, self._offset = descriptor, slot * SLOT_BYTES
        self._beat, self._still, self._at = 0, 0.0, time.monotonic()
        self._seen: Any = None
        self.reading = Reading(0, 0.0, "")
        """The newest that was written."""

    @classmethod
    def inherited(cls) -> "Pulse | None":
        """Return the pulse that the environment names, if it does; children do not get it."""
        found = os.environ.pop(VARIABLE, "")
        if not found:
            return None
        descriptor, _, slot = found.partition(":")
        os.set_inheritable(int(descriptor), False)
        return cls(int(descriptor), int(slot))

    def beat(self) -> None:
        """Write the slot anew."""
        now = time.monotonic()
        passed, self._at = min(now - self._at, 2 * EVERY_S), now
        frames = working_frames()
        seen = (ACTIVITY.moves, None if environment_call(frames) else signature(frames))
        self._still = self._still + passed if seen == self._seen else 0.0
        self._seen = seen
        self._beat += 1
        inside = describe(frames) if self._still >= REPORT_AFTER_S else ""
        self.reading = Reading(self._beat, round(self._still, 1), inside, ACTIVITY.doing)
        row = asdict(self.reading)
        with suppress(OSError):
            os.pwrite(self._descriptor, json.dumps(row).encode().ljust(SLOT_BYTES, b"\0"), self._offset)


def working_frames() -> list[FrameType]:
    """Return the stack of the main thread, which calls the role, from the inside out."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    frames = []
    while frame:
        frames.append(frame)
        frame = frame.f_back
    return frames


def signature(frames: list[FrameType]) -> tuple[tuple[int, int], ...]:
    """Return where every function of a stack is, without keeping the frames and what they hold alive."""
    return tuple((id(frame.f_code), frame.f_lasti) for frame in frames)


def environment_call(frames: list[FrameType]) -> str:
    """Return `env.step` where our code is inside that call of an environment, else "".

    Such a call may compute, sleep or poll for ever, so that movement inside of it proves nothing: only its return does.
    """
    for inner, outer in zip(frames, frames[1:], strict=False):
        ours = _module(outer).startswith("surreal.algorithms.") and not _module(inner).startswith("surreal.")
        if ours and inner.f_code.co_name in ENVIRONMENT_CALLS:
            return f"env.{inner.f_code.co_name}"
    return ""


def describe(frames: list[FrameType]) -> str:
    """Return where the working thread is, in a few words: `env.step (my_env.py:12)`."""
    if not frames:
        return ""
    own = next((frame for frame in frames if not _is_library(frame.f_code.co_filename)), frames[0])
    place = f"{PurePath(own.f_code.co_filename).name}:{own.f_lineno}"
    return f"{environment_call(frames) or own.f_code.co_name} ({place})"[:MAX_TEXT]


def stuck_at(output: str) -> str:
    """Return where the main thread is in the stacks that faulthandler printed last: `step (my_env.py:12)`, or "".

    A process that is frozen inside a call which blocks Python cannot say it itself.
    """
    stack = re.split(_STACK, output)[-1] if re.search(_STACK, output) else ""
    frames = re.findall(_FRAME, stack)
    own = next((frame for frame in frames if not _is_library(frame[0])), frames[0] if frames else None)
    return f"{own[2]} ({PurePath(own[0]).name}:{own[1]})"[:MAX_TEXT] if own else ""


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_library(file: str) -> bool:
    parts = PurePath(file).parts
    return "site-packages" in parts or any(part.startswith("python3") for part in parts) or parts[:1] == ("<frozen",)
