"""Which role listens at an address and which roles may connect to it: what keys and the wiring say together."""

from typing import NamedTuple

from surreal.protocol.graph import RELAY
from surreal.protocol.wiring import ChannelWiring, Wiring


class Access(NamedTuple):
    """Who is at the two ends of an address."""

    server: str
    """The role that listens."""
    clients: frozenset[str]
    """The roles that may connect; everyone else is turned away."""


def access(wiring: Wiring) -> dict[str, Access]:
    """Address -> who may be there, for every address of a run. What is not in it is nobody's."""
    table = {wiring.control: Access(wiring.control_role, frozenset(wiring.replicas))}
    for channel in wiring.channels.values():
        table |= _of_channel(channel)
    return table


def _of_channel(channel: ChannelWiring) -> dict[str, Access]:
    if channel.kind != "broadcast":
        return dict.fromkeys(channel.addresses, Access(channel.to[0], frozenset(channel.frm)))
    readers, relay = frozenset(channel.to), channel.name + RELAY
    at_publisher = Access(channel.frm[0], frozenset({relay}) if channel.relays else readers)
    return dict.fromkeys(channel.addresses, at_publisher) | dict.fromkeys(channel.relays, Access(relay, readers))
