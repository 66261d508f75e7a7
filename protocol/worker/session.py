"""Membership of a process in its run: the part of a worker that its role does not see."""

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from surreal.protocol.errors import Fatal, Refused, did_you_mean
from surreal.protocol.graph import ChannelKind, ProcessName, role_of
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Aside, Server, Still
from surreal.protocol.profiling.own import DRAIN_S, OwnProfile
from surreal.protocol.profiling.taking import Profiling
from surreal.protocol.stream.sender import FLUSH_ON_CLOSE_S, StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.telemetry.counters import CONTROL, CounterTable, report
from surreal.protocol.telemetry.gauges import Gauges, gauge_name
from surreal.protocol.telemetry.reporter import Reporter
from surreal.protocol.transport.authorization import access_table
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.io_loop import Timer
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import STOP_POLL_S
from surreal.protocol.wiring import ChannelWiring, Wiring
from surreal.protocol.worker.pulse import EVERY_S, Pulse
from surreal.protocol.worker.termination import EQUAL_CRASHES, Crashes

STILL_S = 30.0
"""Seconds without a move from which a process is said to stand still, or half of the limit where that is less."""
STOPPED_FLUSH_S = 0.5
"""Time that all senders together have to flush after a signal, which often ends their peers in the same moment."""
STOPS_S = 1.0
"""Most seconds that a process waits for its I/O thread to stop it."""
RETIRE_S = 30.0
"""Time that a process which the run no longer needs has to send its work, and as much to have it acknowledged."""
T = TypeVar("T")


class Session:
    """The I/O thread, the control port and the open channels of one process. A context manager."""

    def __init__(self, wiring: Wiring) -> None:
        """Start the I/O thread and join (or serve) the control port of the run."""
        self.wiring = wiring
        keys = Keys.read(Path(wiring.keys)) if wiring.keys else None
        self.node = Node(wiring.name, wiring.incarnation, keys, access_table(wiring) if keys else None)
        self.counters = CounterTable(wiring)
        self.gauges = Gauges(wiring)
        """Newest values of the algorithm's metrics; shown where control is served."""
        self.fatal = ""
        """Reason why this process can never succeed; a member tells the run when it is closed."""
        self.crashed = ""
        """Reason why this process crashed; a member tells the run when it is closed."""
        self._crashes = Crashes()
        self.retiring = False
        """The run goes on with fewer processes of this role: this one ends when its work is handed over."""
        self.pulse = Pulse.inherited()
        """Signs of life that this process shows its supervisor or PID 1; None where neither watches it."""
        self.failure = ""
        """The process that the run needs and that can never succeed, with its reason; known where control is served."""
        self._channels: dict[tuple[str, str], Any] = {}
        self.on_close: list[Callable[[], None]] = []
        """Called at the end of this process, before its channels close."""
        self._reporter: Reporter | None = None
        keeps_in = wiring.run_folder if wiring.serves_control else ""
        self.profiling = Profiling(OwnProfile(wiring.name), wiring.incarnation, keeps_in)
        """Profiles that this process takes part in."""
        if keeps_in:
            # What is asked from now on is new, and of one that an earlier attempt kept none must hear that it is over.
            self.profiling.turn()
        try:
            self.control = self._join()
        except BaseException:
            self.node.close()
            raise
        if isinstance(self.control, Server):
            each = self.profiling.turn
            self._reporter = Reporter(wiring, self.counters, self.gauges, self._count_own, self.alive, self.still, each)
        self.every(DRAIN_S, self._drain_profile)
        if self.pulse:
            self.node.loop.call(self.pulse.beat)
            self.every(EVERY_S, self.pulse.beat)

    @property
    def stopping(self) -> threading.Event:
        """The event that is set once this process has been asked to stop."""
        return self.node.stopping

    @property
    def stop_reason(self) -> str:
        """Return why this process was asked to stop; empty before."""
        return self.node.stop_reason

    @property
    def stopping_for(self) -> float:
        """Return the seconds since this process was asked to stop; 0 before."""
        return max(0.0, monotonic() - self.node.stopped_at)

    @property
    def preempted(self) -> bool:
        """Return True if this process alone was asked to stop, by a signal, while the run goes on."""
        return self.node.preempted

    @property
    def begun(self) -> bool:
        """Return True once the run has made a step, as far as the process that serves control knows."""
        counted = self.gauges.values().get(gauge_name(self.wiring.role, "steps"), {})
        saved = Path(self.wiring.run_folder, "checkpoints")
        return any(counted.values()) or (saved.is_dir() and any(saved.iterdir()))

    def every(self, seconds: float, task: Callable[[], None]) -> None:
        """Have the I/O thread call `task` every so many seconds for as long as this process lives."""
        self.node.loop.every(seconds, task)

    def stop(self, reason: str) -> None:
        """Ask this process alone to stop; the first reason is kept. Safe in signal handlers and from any thread."""
        self.node.loop.call(lambda: self.node.stop(reason, preempted=True))

    def retire(self) -> None:
        """Ask this process to stop once it has sent what it works on: the run has enough without it."""
        self.retiring = True
        self.node.loop.start(Timer(RETIRE_S, lambda: self.stop("enough processes without it")))

    def sent(self) -> None:
        """Say that a piece of work is sent: a process that retires stops then. Call it from the working thread."""
        if self.retiring and not self.stopping.is_set():
            self.stop("enough processes without it")
            # What it began meanwhile would be lost.
            self.stopping.wait(STOPS_S)

    def check_membership(self) -> None:
        """Raise Refused if the run refuses this process."""
        if isinstance(self.control, Member) and self.control.refused:
            raise Refused(f"{self.wiring.name} was turned away: {self.control.refused}")

    def check(self) -> None:
        """Raise Stopping once this process has been asked to stop, Refused if the run refuses it."""
        self.check_membership()
        self.node.check()

    def alive(self, role: str) -> set[int]:
        """Return the indices of `role` heard within the last 10 s; empty where control is not served."""
        return self.control.alive(role) if isinstance(self.control, Server) else set()

    def still(self) -> dict[str, Still]:
        """Return the processes that have not moved for a while and where each is, as far as this one knows."""
        own = self._own_still()
        found = {self.wiring.name: own} if own else {}
        return found | self.control.still(self._still_after) if isinstance(self.control, Server) else found

    def stop_all(self, timeout: float = 2.0, reason: str = "the run is over") -> None:
        """Tell every member that the run is over and wait for their confirmations, where control is served."""
        if isinstance(self.control, Server):
            self.control.stop_all(reason, timeout)

    def drain(self, timeout: float) -> set[str]:
        """Serve control after `stop_all` until all members have left; return those that have not.

        Members that are just starting hear of the end too. Ends after `timeout` seconds, or when this process is asked
        to stop.
        """
        if not isinstance(self.control, Server):
            return set()
        missing = {str(name) for name in ProcessName.all_of(self.wiring.replicas)} - {self.wiring.name}
        deadline = monotonic() + timeout
        while missing and not self.stopping.is_set() and (left := deadline - monotonic()) > 0:
            missing = self.control.missing(missing, min(left, STOP_POLL_S))
        return missing

    def open(self, verb: str, kind: ChannelKind, name: str, make: Callable[[ChannelWiring], T]) -> T:
        """Return the end of a channel that was opened before, or a new one.

        `verb` is `send` or `receive`. Raises Fatal, listing the role's channels, if the graph has no such end for it.
        """
        role = self.wiring.role
        ends = {
            wired.name: wired
            for wired in self.wiring.channels.values()
            if wired.kind == kind and role in (wired.frm if verb == "send" else wired.to)
        }
        if name not in ends:
            known = ", ".join(sorted(ends)) or "none"
            raise Fatal(f"{role}: has no {kind} {name!r} to {verb} on{did_you_mean(name, ends)}. It has: {known}.")
        return self.open_once(verb, name, lambda: make(ends[name]))

    def open_once(self, verb: str, name: str, make: Callable[[], T]) -> T:
        """Return the channel end opened under (verb, name) before, or the one that `make` opens now."""
        if (verb, name) not in self._channels:
            self._channels[verb, name] = make()
        channel: T = self._channels[verb, name]
        return channel

    def own_address(self, wired: ChannelWiring) -> str:
        """Return the address at which this replica binds."""
        return wired.addresses[self.wiring.index]

    def upstream_address(self, wired: ChannelWiring) -> str:
        """Return the address at which this replica reads a broadcast: a relay's, or the publisher's if it has none."""
        return wired.relays[self.wiring.index % len(wired.relays)] if wired.relays else wired.addresses[0]

    def close(self) -> None:
        """Close the channels (senders flush, for a second all together), leave the run and end the I/O thread."""
        try:
            for close in self.on_close:
                close()
            # A peer that is gone confirms nothing: without one deadline every channel would wait its second.
            patience = STOPPED_FLUSH_S if self.preempted else FLUSH_ON_CLOSE_S
            deadline = monotonic() + (RETIRE_S if self.retiring else patience)
            for channel in self._channels.values():
                if isinstance(channel, StreamSender | ShardedSender):
                    channel.close(max(0.0, deadline - monotonic()))
                else:
                    channel.close()
            if self._reporter:
                self._reporter.close()
                self.profiling.close()
            if isinstance(self.control, Member):
                self.control.close(self.fatal, self.crashed)
            else:
                self.control.close()
        finally:
            self.node.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _join(self) -> Server | Member:
        if self.wiring.serves_control:
            notes = self._note_failure, self._note_crash
            aside = Aside(self.profiling.say, self.profiling.hear)
            return Server(self.node, self.wiring.control, self.counters.take, *notes, aside)
        own, heard = self.wiring.session, self.profiling.heard
        return Member(self.node, self.wiring.control, lambda: report(self._channels), self._own_still, own, heard)

    def _drain_profile(self) -> None:
        """Send what a profile has recorded; the process that serves control keeps its own."""
        for aside in self.profiling.drain():
            if isinstance(self.control, Member):
                self.control.tell(aside)

    @property
    def _still_after(self) -> float:
        limit = self.wiring.hang_seconds
        return min(STILL_S, limit / 2) if limit else STILL_S

    def _own_still(self) -> Still | None:
        """Return for how long and where this process stands still; None while it moves."""
        reading = self.pulse.reading if self.pulse else None
        return (reading.still, reading.said) if reading and reading.still >= self._still_after else None

    def _note_failure(self, process: str, reason: str) -> None:
        # a run can do without a role that sends nothing but telemetry
        role = role_of(process)
        if not self.failure and any(role in each.frm and not each.lossy for each in self.wiring.channels.values()):
            self.failure = f"{process} cannot go on: {reason}"
            self.node.stop(self.failure, preempted=True)

    def _note_crash(self, process: str, reason: str) -> None:
        if self._crashes.note(process, reason) and not self.begun:
            self._note_failure(process, f"{EQUAL_CRASHES} equal crashes before the first step, the last: {reason}")

    def _count_own(self) -> None:
        """Take in what this process itself counts."""
        ends = {**self._channels, ("serve", CONTROL): self.control}
        self.counters.take(self.wiring.name, self.wiring.incarnation, report(ends))
