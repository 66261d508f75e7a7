"""Relays: the publisher's values reach readers behind a relay as if there were none, over the death of either."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from surreal.protocol.broadcast import Publisher, Subscriber
from surreal.protocol.node import Node
from surreal.protocol.relay import Relay

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]


def value(number: float) -> dict[str, np.ndarray]:
    """A large array, a small one and an empty one."""
    return {"big": np.full(50_000, number), "small": np.array(number), "none": np.zeros(0)}


def test_readers_behind_a_relay_get_what_was_published_and_a_late_one_at_once(
    make_node: MakeNode, folder: Path, address: str, until: Until
) -> None:
    publisher = Publisher(make_node("learner/0", 3), address)
    relay = Relay(make_node("weights-relay/0"), address, f"ipc://{folder}/relay")
    early = [Subscriber(make_node(f"actor/{i}"), f"ipc://{folder}/relay") for i in range(4)]
    for version in range(20):
        publisher.publish(value(version), {"steps": version}, version)
        for reader in early:
            message = reader.wait(newer_than=(3, version - 1), timeout=20)
            assert message.version == (3, version) and message.meta == {"steps": version}
            assert message.sender == "learner/0" and message.incarnation == 3
            assert (message.arrays["big"] == version).all() and message.arrays["small"] == version
            assert message.arrays["none"].size == 0
            assert not message.arrays["big"].flags.writeable
    until(lambda: publisher.stats.messages == 20, "the publisher to have served the relay alone")
    late = Subscriber(make_node("actor/9"), f"ipc://{folder}/relay")
    assert late.wait(timeout=20).version == (3, 19)
    until(lambda: (relay.stats.messages, relay.stats.depth) == (81, 5), "all to ask for the next")
