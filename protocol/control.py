"""Control: who is alive, and 'stop now'. Members send a beat each second (a thousand of them and more: as often as they
are told) from their I/O threads; the process that serves control answers from its own, so that a busy working thread
is never taken for a dead process. Where even the I/O thread is silent, because a call into C holds the GIL, the
heartbeats of libzmq tell the busy from the dead.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from surreal.protocol.codec import Kind, Packet, encode_body, encode_prefix
from surreal.protocol.limits import MAX_HEADER
from surreal.protocol.names import DEAD_AFTER, Names
from surreal.protocol.node import Node
from surreal.protocol.port import Port
from surreal.protocol.stats import Stats

log = logging.getLogger("surreal")

BEAT_EVERY = 1.0
"""Seconds between two beats of a member of a run that is not large."""
BEATS = 1000
"""Beats in BEAT_EVERY that the server wants at most: of more members each is told to beat more rarely."""
QUEUE = 4
"""Beats that wait for a connection; older ones say nothing new."""
REPORT_BEATS = 2
"""Every second beat carries the counters of its process's channels."""
WAITING_EVERY = 60.0
"""Seconds after which a member that still has no contact says so again."""
MAX_REASON = 1000
"""Characters of what a process says of its end."""
LINGER = 0.5
"""Seconds that a closing end tries to get its last word out."""


class Server:
    """The end that binds: keeps the members and stops them."""

    def __init__(
        self,
        node: Node,
        address: str,
        take: Callable[[str, int, Any], None] = lambda *counters: None,
        hopeless: Callable[[str, str], None] = lambda *why: None,
    ) -> None:
        """Listens at once. `take(process, incarnation, counters)` gets what members report; it raises ValueError for
        what cannot be true. `hopeless(process, reason)` hears of those that leave because they can never succeed."""
        self._node, self._take_counters, self._hopeless = node, take, hopeless
        self._port = Port(node, address, binds=True, queue=1024, heartbeats=True, largest=MAX_HEADER)
        self._names = Names()
        self._looked = time.monotonic()
        self._dead: set[str] = set()
        self._reason = ""
        self._running: set[str] = set()
        """Members that have not confirmed yet that they stop."""
        self._finished: set[str] = set()
        """Members that have left for good: after the end of the run, or with their own work done."""
        self._changed = threading.Condition()
        node.loop.watch(self._port.socket, self._read)
        self._timer = node.loop.every(BEAT_EVERY, self._look)

    def alive(self, role: str) -> set[int]:
        """Indices of the members of `role` that are not dead: heard in the last 10 s, or connected though busy.

        Judged at the time when the I/O thread last looked, so that nobody seems dead because this process slept.
        """
        members = [name.rpartition("/") for name in list(self._names.holders) if name not in self._dead]
        return {int(index) for member, _, index in members if member == role and index.isdecimal()}

    def stop_all(self, reason: str, timeout: float) -> None:
        """Tell every member that the run is over and wait until all have confirmed or are dead, or `timeout`."""

        def tell() -> None:
            self._reason = self._reason or reason
            self._look()
            for holder in self._names.holders.values():
                self._answer(holder.route, holder.session)

        self._node.loop.run(tell)
        with self._changed:
            if not self._changed.wait_for(lambda: not self._running, timeout):
                log.warning("%s did not confirm the stop within %.0f s", ", ".join(sorted(self._running)), timeout)

    def missing(self, names: Iterable[str], timeout: float) -> set[str]:
        """Those of `names` that have not left for good, after waiting up to `timeout` seconds for all of them."""
        with self._changed:
            self._changed.wait_for(lambda: self._finished.issuperset(names), timeout)
            return set(names) - self._finished

    @property
    def stats(self) -> Stats:
        """A copy of the counters: `messages` are beats, `depth` is the number of members."""
        return replace(self._port.stats, depth=len(self._names.holders))

    def close(self) -> None:
        """Stop listening."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._port.socket)
        self._port.close(LINGER)

    def _read(self) -> None:
        while received := self._port.receive():
            self._take(*received)

    def _take(self, route: bytes, packet: Packet) -> None:
        if packet.kind == Kind.LEAVE:
            self._let_go(packet)
            return
        admitted = self._names.admit(route, packet, packet.meta.get("who"), time.monotonic())
        if packet.kind != Kind.BEAT or isinstance(admitted, str):
            reason = admitted if isinstance(admitted, str) else f"kind {packet.kind} is no beat"
            self._port.refuse(route, packet.sender, reason, packet.session)
            return
        holder, new = admitted
        self._port.stats.messages += 1
        if "counters" in packet.meta:
            self._note_counters(packet)
        if new:
            self._finished.discard(holder.name)
            log.info("%s joined: %s", holder.name, holder.described)
        elif packet.sender in self._dead:
            log.info("%s is heard again", holder.name)
        self._dead.discard(packet.sender)
        if packet.meta.get("stopping"):
            self._confirm(packet.sender)
        else:
            with self._changed:
                self._running.add(packet.sender)
        self._answer(route, packet.session)

    def _let_go(self, packet: Packet) -> None:
        """A member leaves: for good, or because it was stopped alone and will be back."""
        if self._names.release(packet):
            fatal = packet.meta.get("fatal")
            if fatal and isinstance(fatal, str):
                self._hopeless(packet.sender, fatal)
            if self._reason or fatal or not packet.meta.get("stopping"):
                self._finished.add(packet.sender)
        self._confirm(packet.sender)

    def _note_counters(self, packet: Packet) -> None:
        """Pass on what a member counted. Nonsense costs it nothing but that: it lives, after all."""
        try:
            self._take_counters(packet.sender, packet.incarnation, packet.meta["counters"])
        except ValueError as error:
            self._port.stats.refused += 1
            thing = f"{self._port.address} counters of {packet.sender}"
            self._node.complain(thing, f"refused the counters of {packet.sender}: {error}")

    def _confirm(self, name: str) -> None:
        with self._changed:
            self._running.discard(name)
            self._changed.notify_all()

    def _answer(self, route: bytes, session: int) -> bool:
        """Send the state of the run; False if the process behind `route` is gone or does not run."""
        every = BEAT_EVERY * max(1.0, len(self._names.holders) / BEATS)
        meta = {"stop": bool(self._reason), "reason": self._reason, "every": every}
        body = encode_body(self._node.name, self._node.incarnation, meta=meta).body
        return self._port.send(encode_prefix(Kind.STATE, 0, session, 0, 0) + body, route=route)

    def _look(self) -> None:
        """Take what has arrived, then see who has been silent for too long and has no process that runs either.

        The next look comes a beat later, and by then DEAD_AFTER would be over.
        """
        self._read()
        self._looked = time.monotonic()
        for name, holder in self._names.holders.items():
            silent = self._looked - holder.heard
            if silent < DEAD_AFTER - BEAT_EVERY or name in self._dead or self._answer(holder.route, holder.session):
                continue
            self._dead.add(name)
            self._confirm(name)
            log.warning("%s has not been heard for %.0f s: counted as dead", name, silent)


class Member:
    """The end that connects: says each second that this process lives, and stops it when told to."""

    def __init__(self, node: Node, address: str, report: Callable[[], Any] = lambda: None) -> None:
        """Connects in the background. `report()` gives the counters of this process, plain data, or None."""
        self._node, self._report = node, report
        self._port = Port(node, address, binds=False, queue=QUEUE, heartbeats=True)
        self._session = secrets.randbits(63)
        self._server = "the control port"
        self._incarnation = 0
        self._every = BEAT_EVERY
        self._unanswered = 0
        self._beats = 0
        self._answered = self._said = time.monotonic()
        self._lost = False
        self.refused = ""
        """Why this process may not be a member, if so."""
        node.loop.watch(self._port.socket, self._read)
        self._timer = node.loop.every(BEAT_EVERY, self._beat)
        node.loop.call(self._send)

    def close(self, fatal: str = "") -> None:
        """Say goodbye, and why where this process can never succeed, and disconnect."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._port.socket)
        self._send(counters=self._report())
        self._send(Kind.LEAVE, fatal=fatal[:MAX_REASON])
        self._port.close(LINGER if self._incarnation else 0)

    def _beat(self) -> None:
        """Silence is counted in beats, not in time: a process that slept has not listened either. A server that is
        silent but connected is busy."""
        self._unanswered += 1
        now = time.monotonic()
        silent = self._unanswered * self._every >= DEAD_AFTER - BEAT_EVERY and not self._port.connected
        if silent and not (self._lost and now - self._said < WAITING_EVERY):
            self._lost, self._said = True, now
            where = "" if self._incarnation else f" at {self._port.address}, which nobody may have started yet; waiting"
            log.warning("no contact with %s for %.0f s%s", self._server, now - self._answered, where)
        self._beats += 1
        self._send(counters=None if self._beats % REPORT_BEATS else self._report())

    def _send(self, kind: Kind = Kind.BEAT, counters: Any = None, fatal: str = "") -> None:
        meta = {"who": self._node.who, "stopping": self._node.stopping.is_set()}
        if counters is not None:
            meta["counters"] = counters
        if fatal:
            meta["fatal"] = fatal
        body = encode_body(self._node.name, self._node.incarnation, meta=meta).body
        self._port.send(encode_prefix(kind, 0, self._session, 0, 0) + body)

    def _read(self) -> None:
        while received := self._port.receive():
            self._take(received[1])

    def _take(self, packet: Packet) -> None:
        if packet.kind == Kind.REFUSED:
            self.refused = str(packet.meta.get("reason", "no reason given"))
            self._node.stop(self.refused)
        elif packet.kind == Kind.STATE and packet.incarnation >= self._incarnation:
            self._note_contact(packet)
            if packet.meta.get("stop") and not self._node.stopping.is_set():
                self._node.stop(str(packet.meta.get("reason", "")))
                self._send()
        else:
            self._port.refuse(b"", "stale", f"{packet.sender} incarnation {packet.incarnation} was replaced")

    def _note_contact(self, packet: Packet) -> None:
        if self._lost:
            log.info("contact with %s restored after %.0f s", packet.sender, time.monotonic() - self._answered)
        elif self._incarnation and packet.incarnation > self._incarnation:
            log.info("%s was replaced by its incarnation %d", packet.sender, packet.incarnation)
        self._server, self._incarnation = packet.sender, packet.incarnation
        self._unanswered, self._answered, self._lost = 0, time.monotonic(), False
        wanted = packet.meta.get("every")
        if isinstance(wanted, float):
            self._every = self._timer.seconds = min(max(BEAT_EVERY, wanted), DEAD_AFTER / 3)
