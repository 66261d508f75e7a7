"""Sessions: the holder of each sender's name. The newest incarnation wins, and of one incarnation the first process."""

import time
from dataclasses import dataclass, field
from typing import Any

from surreal.protocol.wire.packet import Packet

DEAD_AFTER_S = 10.0
"""Seconds of silence after which a process counts as dead and its name is free."""
MAX_SESSIONS = 65_536


@dataclass
class Holder:
    """The process that speaks under a name."""

    name: str
    incarnation: int
    session: int
    route: bytes
    heard: float
    """Monotonic seconds."""
    who: str = ""
    since: str = field(default_factory=lambda: time.strftime("%H:%M:%S"))

    @property
    def described(self) -> str:
        """`incarnation 2 (pid 17 on host) since 12:00:00`."""
        return f"incarnation {self.incarnation}{f' ({self.who})' if self.who else ''} since {self.since}"


class SessionTable:
    """The holders of all names that a bound port has heard."""

    def __init__(self) -> None:
        self.holders: dict[str, Holder] = {}

    def admit(self, route: bytes, packet: Packet, who: Any, now: float) -> tuple[Holder, bool] | str:
        """Return the holder that sent `packet` and True if it is new, or the reason for refusing the sender.

        `who` is the sender's description of itself, if `packet` has one.
        """
        name, holder = packet.sender, self.holders.get(packet.sender)
        if holder and holder.session == packet.session and holder.incarnation == packet.incarnation:
            holder.route, holder.heard = route, now
            holder.who = holder.who or str(who or "")
            return holder, False
        if holder and packet.incarnation < holder.incarnation:
            return f"{name} incarnation {packet.incarnation} was replaced by {holder.described}"
        if holder and packet.incarnation == holder.incarnation and now - holder.heard < DEAD_AFTER_S:
            return f"the name {name} is held by {holder.described}"
        if not holder and len(self.holders) >= MAX_SESSIONS:
            return f"{MAX_SESSIONS} names are in use already"
        holder = Holder(name, packet.incarnation, packet.session, route, now, str(who or ""))
        self.holders[name] = holder
        return holder, True

    def release(self, packet: Packet) -> bool:
        """Free the name of the sender of `packet`; return False if the sender does not hold it."""
        holder = self.holders.get(packet.sender)
        if holder is None or (holder.session, holder.incarnation) != (packet.session, packet.incarnation):
            return False
        del self.holders[packet.sender]
        return True
