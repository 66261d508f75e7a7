"""The server's end of the control port: keeps the members of a run and stops them.

It answers beats from its own I/O thread. If even the I/O thread of a member is silent, because a call into C holds the
GIL, the heartbeats of libzmq tell a busy process from a dead one.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from surreal.protocol.graph import ProcessName
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.transport.sessions import DEAD_AFTER_S, SessionTable
from surreal.protocol.transport.stats import FROZEN, Stats
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.limits import MAX_HEADER_BYTES
from surreal.protocol.wire.packet import Kind, Packet

log = logging.getLogger("surreal")

BEAT_INTERVAL_S = 1.0
"""Seconds between two beats of a member of a run that is not large."""
MAX_BEATS = 1000
"""Beats in BEAT_INTERVAL_S that the server wants at most: of more members each is told to beat more rarely."""
REPORT_BEATS = 2
"""Every second beat carries the counters of its process's channels."""
MAX_REASON = 1000
"""Characters of what a process says of its end."""
MAX_PLACE = 200
"""Characters of where a process says that it stands still."""
Still = tuple[float, str]
"""Seconds for which a process has not moved, and a sentence on where it is."""
LINGER_S = 0.5
"""Seconds that a closing end tries to get its last word out."""


def _nothing(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _deaf(process: str, incarnation: int, meta: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Aside:
    """Further words between the server and its members, beside what keeps the run together."""

    say: Callable[[Mapping[str, Any]], dict[str, Any]] = _nothing
    """Returns what an answer says beside, given what the beat said; empty before the first."""
    hear: Callable[[str, int, Mapping[str, Any]], None] = _deaf
    """Takes what a beat of a process says; raises ValueError for what is impossible."""


class Server:
    """The end that binds: keeps the members and stops them."""

    def __init__(
        self,
        node: Node,
        address: str,
        take: Callable[[str, int, Any], None] = lambda *counters: None,
        on_fatal: Callable[[str, str], None] = lambda *why: None,
        on_crash: Callable[[str, str], None] = lambda *why: None,
        more: "Aside | None" = None,
    ) -> None:
        """Listen at once.

        `take(process, incarnation, counters)` gets the reports of members; it raises ValueError for impossible ones.
        `on_fatal(process, reason)` is called for members that leave because they can never succeed, `on_crash` for
        those that crashed. `more` is said and heard beside.
        """
        self._node, self._take_counters, self._on_fatal, self._on_crash = node, take, on_fatal, on_crash
        self._more = more or Aside()
        self._socket = PacketSocket(node, address, binds=True, queue=1024, heartbeats=True, largest=MAX_HEADER_BYTES)
        self._names = SessionTable()
        self._polled = time.monotonic()
        self._dead: set[str] = set()
        self._reason = ""
        self._running: set[str] = set()
        """Members that have not confirmed yet that they stop."""
        self._finished: set[str] = set()
        """Members that have left for good: after the end of the run, or with their own work done."""
        self._still: dict[str, Still] = {}
        """Member -> what it said itself, in its last beat."""
        self._changed = threading.Condition()
        node.loop.watch(self._socket.zmq_socket, self._read)
        self._timer = node.loop.every(BEAT_INTERVAL_S, self._poll)

    def alive(self, role: str) -> set[int]:
        """Return the indices of the members of `role` that are not dead: heard in the last 10 s, or connected though
        busy.

        Judged at the time of the I/O thread's last poll, so that no member seems dead because this process slept.
        """
        members = [ProcessName.find(name) for name in list(self._names.holders) if name not in self._dead]
        return {member.index for member in members if member and member.role == role}

    def still(self, after: float) -> dict[str, Still]:
        """Return the members that have not moved for `after` seconds, by their own word or by their silence."""
        now, found = self._polled, {}
        for name, holder in list(self._names.holders.items()):
            silent, said = now - holder.heard, self._still.get(name)
            if silent >= after:
                found[name] = (round(silent, 1), FROZEN)
            elif said and said[0] >= after:
                found[name] = said
        return found

    def stop_all(self, reason: str, timeout: float) -> None:
        """Tell every member that the run is over and wait until all have confirmed or are dead, or `timeout`."""

        def tell() -> None:
            self._reason = self._reason or reason
            self._poll()
            for holder in self._names.holders.values():
                self._answer(holder.route, holder.session)

        self._node.loop.run(tell)
        with self._changed:
            if not self._changed.wait_for(lambda: not self._running, timeout):
                log.warning("%s did not confirm the stop within %.0f s", ", ".join(sorted(self._running)), timeout)

    def missing(self, names: Iterable[str], timeout: float) -> set[str]:
        """Return those of `names` that have not left for good, after waiting up to `timeout` seconds for them."""
        with self._changed:
            self._changed.wait_for(lambda: self._finished.issuperset(names), timeout)
            return set(names) - self._finished

    @property
    def stats(self) -> Stats:
        """A copy of the counters: `messages` are beats, `depth` is the number of members."""
        return self._socket.stats.copy(depth=len(self._names.holders))

    def close(self) -> None:
        """Stop listening."""
        self._node.loop.cancel(self._timer)
        self._node.loop.forget(self._socket.zmq_socket)
        self._socket.close(LINGER_S)

    def _read(self) -> None:
        while received := self._socket.receive():
            self._take(*received)

    def _take(self, route: bytes, packet: Packet) -> None:
        if packet.kind == Kind.LEAVE:
            self._release(packet)
            return
        admitted = self._names.admit(route, packet, packet.meta.get("who"), time.monotonic())
        if packet.kind != Kind.BEAT or isinstance(admitted, str):
            reason = admitted if isinstance(admitted, str) else f"kind {packet.kind} is no beat"
            self._socket.refuse(route, packet.sender, reason, packet.session)
            return
        holder, new = admitted
        self._socket.stats.messages += 1
        if "counters" in packet.meta:
            self._note_counters(packet)
        self._note_still(packet.sender, packet.meta.get("still"))
        self._hear(packet)
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
        self._answer(route, packet.session, packet.meta)

    def _release(self, packet: Packet) -> None:
        """Note that a member leaves: for good, or because it was stopped alone and will be back."""
        if self._names.release(packet):
            self._still.pop(packet.sender, None)
            fatal = packet.meta.get("fatal")
            if fatal and isinstance(fatal, str):
                self._on_fatal(packet.sender, fatal)
            crashed = packet.meta.get("crashed")
            if crashed and isinstance(crashed, str):
                self._on_crash(packet.sender, crashed)
            if self._reason or fatal or not packet.meta.get("stopping"):
                self._finished.add(packet.sender)
        self._confirm(packet.sender)

    def _note_still(self, name: str, said: Any) -> None:
        """Keep what a member says of its own work; anything else is no word of it."""
        self._still.pop(name, None)
        match said:
            case [float(seconds), str(where)] if math.isfinite(seconds):
                self._still[name] = (seconds, where[:MAX_PLACE])

    def _note_counters(self, packet: Packet) -> None:
        """Forward a member's counters. Ignore malformed ones; the member still counts as alive."""
        try:
            self._take_counters(packet.sender, packet.incarnation, packet.meta["counters"])
        except ValueError as error:
            self._socket.stats.refused += 1
            thing = f"{self._socket.address} counters of {packet.sender}"
            self._node.warn(thing, f"refused the counters of {packet.sender}: {error}")

    def _hear(self, packet: Packet) -> None:
        """Pass on what a member says aside; nonsense counts as refused, and the member still as alive."""
        try:
            self._more.hear(packet.sender, packet.incarnation, packet.meta)
        except ValueError as error:
            self._socket.stats.refused += 1
            self._node.warn(f"{self._socket.address} aside of {packet.sender}", f"refused of {packet.sender}: {error}")

    def _confirm(self, name: str) -> None:
        with self._changed:
            self._running.discard(name)
            self._changed.notify_all()

    def _answer(self, route: bytes, session: int, asked: Mapping[str, Any] = MappingProxyType({})) -> bool:
        """Send the state of the run; False if the process behind `route` is gone or does not run."""
        every = BEAT_INTERVAL_S * max(1.0, len(self._names.holders) / MAX_BEATS)
        meta = {"stop": bool(self._reason), "reason": self._reason, "every": every, **self._more.say(asked)}
        body = encode_body(self._node.name, self._node.incarnation, meta=meta).body
        return self._socket.send(encode_prefix(Kind.STATE, 0, session, 0, 0) + body, route=route)

    def _poll(self) -> None:
        """Take the packets that have arrived, then find members that are silent and not connected.

        The next poll comes a beat later, and by then DEAD_AFTER_S would be over.
        """
        self._read()
        self._polled = time.monotonic()
        for name, holder in self._names.holders.items():
            silent = self._polled - holder.heard
            if (
                silent < DEAD_AFTER_S - BEAT_INTERVAL_S
                or name in self._dead
                or self._answer(holder.route, holder.session)
            ):
                continue
            self._dead.add(name)
            self._confirm(name)
            log.warning("%s has not been heard for %.0f s: counted as dead", name, silent)
