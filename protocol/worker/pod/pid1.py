"""PID 1 of a pod: starts the worker, forwards its output and its signals, and outlives it.

It is a process of its own because PID 1 is special: a signal without a handler is lost, orphans are its to reap, and
everything dies with it. It must also act while the worker cannot: during a call into C that holds the GIL, and after a
crash. It imports nothing that takes long.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import POD_STOP_GRACE_S
from surreal.protocol.worker.pod.hang import HangWatch
from surreal.protocol.worker.termination import LAST_WORDS, TerminationMessage

FORWARDED = (signal.SIGTERM, signal.SIGINT)
READ_BYTES = 64 * 1024
TAIL_BYTES = 1024
"""Bytes of the last output that a crash is explained with."""
_PIPE_BYTES = 1024 * 1024
"""Capacity of a pipe while the worker's threads cannot read; the most that Linux grants to every user."""


@dataclass(frozen=True)
class Tee:
    """The worker's ends: its standard output and error go to the first process, which passes them on and back."""

    copy: int
    """Read end of the pipe with a copy of all that was printed, except what came too fast."""
    original: int
    """The standard error of the pod itself."""
    outcome: int
    """Write end of the pipe on which the worker says how its role ended; one TerminationMessage."""


Leave = Callable[[TerminationMessage, bool], ExitCode | None]
"""Called with how the child ended, and True where it could not say that itself; returns an exit status to prefer."""


def run_as_pid1(work: Callable[[Tee], int], leave: Leave, hangs: HangWatch) -> int:
    """Run `work` in a child and return its exit status, or 128 and the number of the signal that killed it.

    Return PREEMPTED if a signal to PID 1 ended the child, or the child did not end within POD_STOP_GRACE_S of it. End a
    child that hangs. In the child, return the result of `work`. The caller has blocked the signals of FORWARDED; in the
    child they stay blocked.
    """
    printed, output = os.pipe()
    copy, copied = os.pipe()
    outcome, told = os.pipe()
    child = os.fork()
    if child:
        os.close(output)
        os.close(copy)
        os.close(told)
        return Pid1(child, printed, copied, outcome, hangs).run(leave)
    os.close(printed)
    os.close(copied)
    os.close(outcome)
    tee = Tee(copy, os.dup(sys.stderr.fileno()), told)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
    os.close(output)
    return work(tee)


class Pid1:
    """The work of PID 1 while the worker lives."""

    def __init__(self, child: int, printed: int, copied: int, outcome: int, hangs: HangWatch) -> None:
        self._child, self._printed, self._copied, self._outcome = child, printed, copied, outcome
        self._hangs = hangs
        self._kill_at: float | None = None
        self._status: int | None = None
        self._killed = False
        self._tail = b""
        self._lost = 0
        self._poll = select.poll()
        self._poll.register(printed, select.POLLIN)
        self._reading = self._copying = True
        os.set_blocking(copied, False)
        for pipe in (printed, copied):
            _enlarge(pipe)
        self._wake, wakes = os.pipe()
        for end in (self._wake, wakes):
            os.set_blocking(end, False)
        self._poll.register(self._wake, select.POLLIN)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in FORWARDED:
            signal.signal(number, self._forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    def run(self, leave: Leave) -> int:
        """Wait until the worker has ended; return its exit status."""
        self._reap()
        while self._status is None:
            for descriptor, _ in self._poll.poll(self._timeout()):
                if descriptor == self._printed:
                    self._forward_output()
            with suppress(BlockingIOError):
                os.read(self._wake, READ_BYTES)
            self._reap()
            self._kill_if_due()
            self._end_if_hung()
        os.set_blocking(self._printed, False)  # children of the worker may still have the other end
        with suppress(BlockingIOError):
            while self._reading:
                self._forward_output()
        told = self._read_outcome()
        ending, code = (told, int(told.code)) if told else self._judge(self._status)
        preferred = leave(ending, told is None)
        return code if preferred is None else preferred

    def _forward(self, number: int, _: Any) -> None:
        self._kill_at = self._kill_at or time.monotonic() + POD_STOP_GRACE_S
        if self._status is None:
            os.kill(self._child, number)

    def _timeout(self) -> float | None:
        """Return the milliseconds until there is something to do if no event comes first; None for never."""
        due = self._hangs.wait_s() if self._kill_at is None else self._until_kill()
        return None if due is None else due * 1000

    def _until_kill(self) -> float | None:
        """Return the seconds until the worker is killed; None if that is not due."""
        return None if self._kill_at is None or self._killed else max(0.0, self._kill_at - time.monotonic())

    def _end_if_hung(self) -> None:
        """End a worker that hangs, unless a signal has told it to end anyway."""
        if self._status is None and self._kill_at is None and (how := self._hangs.look(self._child)):
            _write_all(sys.stderr.fileno(), f"the worker {how}: ended, its stacks follow\n".encode())

    def _kill_if_due(self) -> None:
        if self._kill_at is not None and not self._killed and self._status is None and not self._until_kill():
            self._killed = True
            _write_all(
                sys.stderr.fileno(), f"did not end within {POD_STOP_GRACE_S:.0f} s of the signal: killed\n".encode()
            )
            os.kill(self._child, signal.SIGKILL)

    def _reap(self) -> None:
        """Reap all orphaned processes; PID 1 inherits them."""
        with suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0]:
                if reaped[0] == self._child:
                    self._status = reaped[1]

    def _forward_output(self) -> None:
        """Write output to the pod's log first, then to the copy."""
        data = os.read(self._printed, READ_BYTES)
        if data:
            _write_all(sys.stderr.fileno(), data)
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            self._copy(data)
        else:
            self._poll.unregister(self._printed)
            self._reading = False
            os.close(self._copied)
            self._copying = False

    def _copy(self, data: bytes) -> None:
        """Copy output without waiting: the worker's threads may be busy, and a full pipe would hold up its printing."""
        if not self._copying:
            return
        try:
            if self._lost:
                os.write(self._copied, f"\n({self._lost} lines that came too fast are not here)\n".encode())
                self._lost = 0
            while data:
                data = data[os.write(self._copied, data) :]
        except BlockingIOError:
            self._lost += data.count(b"\n") or 1
        except OSError:  # the worker does not want it
            self._copying = False

    def _read_outcome(self) -> TerminationMessage | None:
        """Return what the worker itself said of its end; None if it could not, or something else ended it."""
        os.set_blocking(self._outcome, False)
        try:
            return TerminationMessage.parse(os.read(self._outcome, READ_BYTES).decode())
        except (BlockingIOError, UnicodeDecodeError):
            return None

    def _judge(self, status: int) -> tuple[TerminationMessage, int]:
        """Return how a worker ended that could not say it, as far as PID 1 can see, and the status to exit with."""
        if self._hangs.how:
            return TerminationMessage(ExitCode.FAILED.name, f"it hung: it {self._hangs.how}"), ExitCode.FAILED
        words = self._tail.decode(errors="replace").strip()
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            reason = f"something in it ended the process with exit code {code}; {LAST_WORDS}{words}"
            # the other exit codes are words of the worker, which said nothing
            return TerminationMessage(ExitCode.FAILED.name, reason), code if code > max(ExitCode) else ExitCode.FAILED
        if self._kill_at is not None and -code in (*FORWARDED, signal.SIGKILL):
            late = f"did not end within {POD_STOP_GRACE_S:.0f} s of the signal and was killed"
            ending = TerminationMessage(
                ExitCode.PREEMPTED.name, late if self._killed else "stopped before it had started"
            )
            return ending, ExitCode.PREEMPTED
        name = signal.Signals(-code).name
        return TerminationMessage(name, f"died of {name}; {LAST_WORDS}{words}"), 128 - code


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes. Ignore errors when the reader has gone."""
    with suppress(OSError):
        while data:
            data = data[os.write(descriptor, data) :]


def _enlarge(pipe: int) -> None:
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
