"""Relays: the publisher's values reach readers behind a relay as if there were none, over the death of either."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.broadcast.relay import Relay
from surreal.protocol.broadcast.subscriber import Subscriber
from surreal.protocol.transport.node import Node
from surreal.protocol.wiring import ChannelWiring, Wiring
from tests.protocol.conftest import end

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
            message = reader.wait(newer_than=(3, version - 1), timeout=120)
            assert message.version == (3, version) and message.meta == {"steps": version}
            assert message.sender == "learner/0" and message.incarnation == 3
            assert (message.arrays["big"] == version).all() and message.arrays["small"] == version
            assert message.arrays["none"].size == 0
            assert not message.arrays["big"].flags.writeable
    until(lambda: publisher.stats.messages >= 20, "the publisher to have served the relay")
    assert publisher.stats.messages < 40, "a relay that had to ask again was served twice, but no reader was"
    late = Subscriber(make_node("actor/9"), f"ipc://{folder}/relay")
    assert late.wait(timeout=120).version == (3, 19)
    until(lambda: relay.stats.messages >= 81 and relay.stats.depth == 5, "all to ask for the next")


ROLES = """
import numpy as np
from surreal.protocol.errors import ExitCode

def learner(process):
    weights, done = process.publisher("weights"), process.receiver("done")
    weights.publish({"w": np.full(100_000, np.pi, np.float32)}, {}, 1)
    print(*sorted(done.recv(120).arrays["w"].tolist()[0] for _ in range(3)), flush=True)
    while process.session.alive("weights-relay") != {0, 1}:
        done.recv(0.1)
    print(weights.stats.messages, flush=True)
    return ExitCode.DONE

def actor(process):
    process.sender("done").send({"w": process.subscriber("weights").wait().arrays["w"][:1]})
    process.stopping.wait()
"""


def test_a_run_with_relays_is_wired_so_that_readers_share_them_and_the_writer_serves_relays_only(folder: Path) -> None:
    (folder / "roles.py").write_text(ROLES)
    runs = {
        "learner": "roles:learner",
        "actor": "roles:actor",
        "weights-relay": "surreal.protocol.worker.process:relay",
    }
    replicas = {"learner": 1, "actor": 3, "weights-relay": 2}
    at = f"ipc://{folder}/"
    weights = ChannelWiring(
        *("weights", "broadcast", ("learner",), ("actor",)),
        addresses=(at + "weights",),
        relays=(at + "relay-0", at + "relay-1"),
        dtype="bfloat16",
    )
    done = ChannelWiring("done", "stream", ("actor",), ("learner",), addresses=(at + "done",))
    with ExitStack() as stack:
        workers = {}
        for role, index in ((role, index) for role, count in replicas.items() for index in range(count)):
            wiring = Wiring(
                *("test", role, index, 1, runs[role], replicas, {"weights": weights, "done": done}, at + "control"),
                serves_control=role == "learner",
                run_folder=str(folder),
                seed=1,
                code=str(folder),
            )
            path = folder / f"{role}-{index}.json"
            wiring.write(path)
            command = [sys.executable, "-P", "-m", "surreal.protocol.worker", str(path)]
            workers[wiring.name] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            stack.callback(end, workers[wiring.name])
        assert workers["learner/0"].communicate(timeout=120)[0] == "3.140625 3.140625 3.140625\n2\n"
        assert {name: worker.wait(120) for name, worker in workers.items()} == dict.fromkeys(workers, 0)
