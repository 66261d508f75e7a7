"""The roles that listen and connect at each address, by the wiring and the keys."""

import threading
from collections.abc import Iterable
from typing import NamedTuple

import zmq

from surreal.protocol.graph import RELAY
from surreal.protocol.transport.curve_keys import Keys
from surreal.protocol.transport.io_loop import IOLoop
from surreal.protocol.transport.stats import Warn
from surreal.protocol.wiring import ChannelWiring, Wiring


class Access(NamedTuple):
    """The roles at the two ends of an address."""

    server: str
    """The role that listens."""
    clients: frozenset[str]
    """The roles that may connect; everyone else is turned away."""


def access_table(wiring: Wiring) -> dict[str, Access]:
    """Return the roles at every address of a run. No process may use an address that is not in it."""
    table = {wiring.control: Access(wiring.control_role, frozenset(wiring.replicas))}
    for channel in wiring.channels.values():
        table |= _channel_access(channel)
    return table


def _channel_access(channel: ChannelWiring) -> dict[str, Access]:
    if channel.kind != "broadcast":
        return dict.fromkeys(channel.addresses, Access(channel.to[0], frozenset(channel.frm)))
    readers, relay = frozenset(channel.to), channel.name + RELAY
    at_publisher = Access(channel.frm[0], frozenset({relay}) if channel.relays else readers)
    return dict.fromkeys(channel.addresses, at_publisher) | dict.fromkeys(channel.relays, Access(relay, readers))


ENDPOINT = "inproc://zeromq.zap.01"
FRAMES = 9
"""Frames of a request by CURVE: route, empty, version, request, domain, address, identity, mechanism, public key."""


class ZapHandler:
    """The ZAP handler of one context. A domain is one port; the user id of an admitted client is its role."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", loop: IOLoop, keys: Keys) -> None:
        self._loop = loop
        self._roles = {key: role for role, key in keys.public.items()}
        self._ports: dict[str, tuple[frozenset[str], Warn]] = {}
        self._lock = threading.Lock()
        self._socket = context.socket(zmq.ROUTER)
        self._socket.bind(ENDPOINT)
        loop.watch(self._socket, self._read)

    def allow(self, domain: str, roles: Iterable[str], refused: Warn) -> None:
        """Let these roles alone connect to the port `domain`; call `refused(thing, text)` for other clients."""
        with self._lock:
            self._ports[domain] = (frozenset(roles), refused)

    def forget(self, domain: str) -> None:
        """Note that the port is closed."""
        with self._lock:
            self._ports.pop(domain, None)

    def close(self) -> None:
        """Stop answering. libzmq then admits no client, since every guarded port has a domain."""
        self._loop.forget(self._socket)
        self._socket.close(linger=0)

    def _read(self) -> None:
        while self._socket.poll(0):
            parts = self._socket.recv_multipart()
            if len(parts) >= 4:
                self._answer(parts)

    def _answer(self, parts: list[bytes]) -> None:
        """Reply 200 with the role as user id, or 400."""
        route, _, version, request = parts[:4]
        role = self._authorize(parts)
        status = (b"200", b"OK", role.encode()) if role else (b"400", b"no key of this port", b"")
        self._socket.send_multipart([route, b"", version, request, *status, b""])

    def _authorize(self, parts: list[bytes]) -> str:
        """Return the role that asks to connect, or an empty string if it may not."""
        if len(parts) != FRAMES or parts[2] != b"1.0" or parts[7] != b"CURVE":
            return ""
        domain, address, role = parts[4].decode(errors="replace"), parts[5], self._roles.get(parts[8], "")
        with self._lock:
            roles, refused = self._ports.get(domain, (frozenset(), None))
        if role in roles:
            return role
        if refused:
            place = address.decode(errors="replace") or "a local process"
            shown = f"the key of {role}, which may not connect here" if role else "a key of no role of this experiment"
            refused(f"key from {place}", f"refused {place}, which showed {shown}")
        return ""
