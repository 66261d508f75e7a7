"""Keys: their files, and who gets in where."""

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from surreal.protocol.errors import Fatal, Refused
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.authorization import access_table
from surreal.protocol.transport.curve_keys import Keys, make_key_files, write_key_files
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.packet_socket import PacketSocket
from surreal.protocol.wire.codec import encode_body, encode_prefix
from surreal.protocol.wire.packet import Kind
from surreal.protocol.wiring import ChannelWiring, Wiring
from tests.ports import free_port
from tests.protocol.joined import Joined

ROLES = ("actor", "evaluator", "learner", "policy", "weights-relay")
Until = Callable[..., None]


def read(files: dict[str, str]) -> dict[str, Keys]:
    return {role: Keys.parse(text) for role, text in files.items()}


def test_a_key_file_is_private_and_read_back(folder: Path) -> None:
    files = make_key_files(ROLES)
    paths = write_key_files(files, folder)
    for role, path in paths.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = Keys.read(path)
        assert keys == Keys.parse(files[role])
        assert keys.role == role and set(keys.public) == set(ROLES)
    assert len({Keys.read(path).secret for path in paths.values()}) == len(ROLES)


def test_a_key_is_never_replaced(folder: Path) -> None:
    files = make_key_files(["actor"])
    write_key_files(files, folder)
    with pytest.raises(FileExistsError):
        write_key_files(files, folder)


def test_nothing_that_is_printed_holds_a_key(folder: Path) -> None:
    text = make_key_files(["actor"])["actor"]
    keys = Keys.parse(text)
    assert "secret" not in repr(keys) and "public" not in repr(keys) and str(keys.secret) not in repr(keys)
    path = folder / "actor.json"
    path.touch(mode=0o600)
    path.write_text(text[:-20])
    with pytest.raises(Fatal, match=r"actor\.json is no key file") as error:
        Keys.read(path)
    assert json.loads(text)["secret"] not in str(error.value)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_a_key_file_that_everybody_can_read_is_refused_with_the_way_out(folder: Path) -> None:
    path = write_key_files(make_key_files(["actor"]), folder)["actor"]
    path.chmod(0o604)
    with pytest.raises(Fatal, match=r"can be read by every user. Run chmod o-rwx .*actor\.json"):
        Keys.read(path)
    path.unlink()
    with pytest.raises(Fatal, match="keys: cannot read"):
        Keys.read(path)


@pytest.mark.parametrize(
    "change",
    [{"secret": "short"}, {"secret": 7}, {"role": "learner"}, {"public": []}, {"public": {"actor": "x" * 40}}],
    ids=str,
)
def test_a_key_file_of_another_form_is_refused(change: dict[str, object]) -> None:
    data = json.loads(make_key_files(["actor"])["actor"])
    with pytest.raises(ValueError, match=r"it wants JSON|is not that of the role"):
        Keys.parse(json.dumps(data | change))


def wiring(address: Callable[[], str]) -> Wiring:
    """One channel of each kind, and control."""
    channels = [
        ChannelWiring("experience", "stream", ("actor",), ("learner",), addresses=(address(), address())),
        ChannelWiring("metrics", "stream", ("actor", "evaluator"), ("learner",), addresses=(address(),), lossy=True),
        ChannelWiring(
            "weights", "broadcast", ("learner",), ("actor", "evaluator"), addresses=(address(),), relays=(address(),)
        ),
        ChannelWiring("snapshots", "broadcast", ("learner",), ("evaluator",), addresses=(address(),)),
        ChannelWiring("act", "service", ("actor",), ("policy",), addresses=(address(), address())),
    ]
    return Wiring(
        experiment="e",
        role="learner",
        index=0,
        incarnation=1,
        run="",
        replicas=dict.fromkeys(ROLES, 2),
        channels={channel.name: channel for channel in channels},
        control=address(),
        control_role="learner",
        serves_control=True,
        run_folder="",
        seed=0,
    )


ALLOWED = {
    "experience": {"actor"},
    "metrics": {"actor", "evaluator"},
    "weights": {"weights-relay"},
    "weights relay": {"actor", "evaluator"},
    "snapshots": {"evaluator"},
    "act": {"actor"},
    "control": set(ROLES),
}
"""Who may connect to which port."""


@dataclass
class Run:
    """Every port of a run, bound by its role with its key."""

    wiring: Wiring
    keys: dict[str, Keys]
    nodes: list[Node] = field(default_factory=list)
    ports: dict[str, PacketSocket] = field(default_factory=dict)

    def node(self, role: str, keys: Keys) -> Node:
        self.nodes.append(Node(f"{role}/0", 1, keys, access_table(self.wiring)))
        return self.nodes[-1]

    def dial(self, node: Node, address: str) -> PacketSocket:
        port = PacketSocket(node, address, binds=False, queue=4)
        port.send(encode_prefix(Kind.BEAT, 0, 1, 0, 0) + encode_body(node.name, 1).body)
        return port

    def addresses(self) -> dict[str, tuple[str, ...]]:
        found = {channel.name: channel.addresses for channel in self.wiring.channels.values()}
        return found | {"weights relay": self.wiring.channels["weights"].relays, "control": (self.wiring.control,)}


@pytest.fixture
def tcp_addresses() -> Callable[[], str]:
    """Gives loopback addresses, no one twice."""
    return lambda: f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def run(tcp_addresses: Callable[[], str]) -> Iterator[Run]:
    wired = wiring(tcp_addresses)
    made = Run(wired, read(make_key_files(ROLES)))
    servers = {role: made.node(role, made.keys[role]) for role in ROLES}
    for place, ends in access_table(wired).items():
        made.ports[place] = PacketSocket(servers[ends.server], place, binds=True, queue=16)
    yield made
    for port in made.ports.values():
        port.close()
    for node in made.nodes:
        node.close()


def test_each_key_opens_the_ports_of_its_role_and_no_other(run: Run, until: Until) -> None:
    nodes = {role: run.node(role, run.keys[role]) for role in ROLES}
    for channel, places in run.addresses().items():
        for place in places:
            clients = {role: run.dial(nodes[role], place) for role in ROLES}
            check_port(run.ports[place], clients, ALLOWED[channel], until)
            for client in clients.values():
                client.close()


def check_port(server: PacketSocket, clients: dict[str, PacketSocket], allowed: set[str], until: Until) -> None:
    """Each client has said a word: exactly the allowed ones are heard, and the others counted and told."""
    heard: set[str] = set()
    denied = clients.keys() - allowed
    until(lambda: hear(server, heard) == allowed, f"{allowed} to be heard at {server.address}")
    until(lambda: server.stats.refused == len(denied), f"{denied} to be counted")
    for role in denied:
        until(lambda role=role: is_refused(clients[role]), f"{role} to be told")
    assert hear(server, heard) == allowed


def hear(server: PacketSocket, heard: set[str]) -> set[str]:
    """`heard` and the roles that have come to a port since."""
    while received := server.receive():
        heard.add(received[1].sender.partition("/")[0])
    return heard


def is_refused(client: PacketSocket) -> bool:
    received = client.receive()
    return received is not None and "authentication failed" in str(received[1].meta["reason"])


def test_the_matrix_covers_every_port(run: Run) -> None:
    assert set(access_table(run.wiring)) == {place for places in run.addresses().values() for place in places}
    assert set(run.addresses()) == set(ALLOWED)


def strangers(keys: dict[str, Keys]) -> dict[str, Keys | None]:
    """Those who have no business anywhere."""
    theirs = read(make_key_files(ROLES))
    learned = theirs["actor"].public | {"learner": keys["learner"].public["learner"]}
    return {
        "no key": None,
        "the keys of another experiment": theirs["actor"],
        "a key of another experiment and the right server's": Keys("actor", theirs["actor"].secret, learned),
    }


@pytest.mark.parametrize("stranger", range(3))
def test_strangers_are_counted_and_never_heard(run: Run, until: Until, stranger: int) -> None:
    keys = list(strangers(run.keys).values())[stranger]
    node = run.node("actor", keys) if keys else Node("actor/0", 1)
    place = run.wiring.channels["experience"].addresses[0]
    client, server = run.dial(node, place), run.ports[place]
    until(lambda: server.stats.refused, "a refusal")
    assert server.receive() is None
    client.close()
    node.close()
    good = run.dial(run.node("actor", run.keys["actor"]), place)
    until(server.receive, "a good client")
    good.close()


def test_a_name_of_another_role_is_refused_and_counted(run: Run, until: Until) -> None:
    node = run.node("actor", run.keys["actor"])
    node.name = "learner/3"
    place = run.wiring.channels["experience"].addresses[0]
    client, server = run.dial(node, place), run.ports[place]
    until(lambda: server.receive() or server.stats.refused, "a refusal")
    assert server.stats.refused == 1
    client.send(encode_prefix(Kind.BEAT, 0, 1, 1, 0) + encode_body(node.name, 1).body)
    until(lambda: server.receive() or server.stats.refused > 1, "a refusal of the same header")
    assert server.stats.refused == 2
    client.close()


def test_a_stream_with_a_key_that_is_not_accepted_says_so(run: Run) -> None:
    place = run.wiring.channels["experience"].addresses[0]
    sender = StreamSender(run.node("evaluator", run.keys["evaluator"]), place, 4)
    sender.send({})
    with pytest.raises(Refused, match="evaluator/0 cannot send to tcp://.*: authentication failed"):
        sender.flush(120)
    sender.close()


def test_an_address_without_an_entry_is_used_by_nobody(run: Run, tcp_address: str) -> None:
    node = run.node("learner", run.keys["learner"])
    with pytest.raises(Fatal, match="no role is known to have business there"):
        StreamReceiver(node, tcp_address, 4)


def test_keys_work_on_sockets_of_the_machine_too(folder: Path, until: Until) -> None:
    keys = read(make_key_files(ROLES))
    wired = wiring(iter([f"ipc://{folder}/{i}" for i in range(9)]).__next__)
    place = wired.channels["experience"].addresses[0]
    with (
        Node("learner/0", 1, keys["learner"], access_table(wired)) as learner,
        Node("actor/0", 1, keys["actor"], access_table(wired)) as actor,
    ):
        receiver, sender = StreamReceiver(learner, place, 4), StreamSender(actor, place, 4)
        assert sender.send({}, {"n": 1})
        message = receiver.recv(120)
        assert message and message.meta == {"n": 1}
        receiver.close()
        sender.close()


def test_a_run_over_tcp_works_with_its_key_files(tcp_addresses: Callable[[], str], folder: Path, until: Until) -> None:
    paths = write_key_files(make_key_files(ROLES), folder)
    wired = replace(wiring(tcp_addresses), run_folder=str(folder), keys=str(paths["learner"]))
    its = replace(wired, role="actor", serves_control=False, keys=str(paths["actor"]))
    with Joined(wired) as learner, Joined(its) as actor:
        receiver, sender = learner.receiver("experience"), actor.sender("experience")
        sender.send({"x": np.arange(3)})
        message = receiver.recv(120)
        assert message and message.sender == "actor/0"
        until(lambda: learner.session.alive("actor") == {0}, "the actor to join")
        learner.session.stop_all()
        assert actor.stopping.wait(120)


def test_a_process_with_a_foreign_key_is_turned_away_from_the_run(
    tcp_addresses: Callable[[], str], folder: Path, until: Until
) -> None:
    paths = write_key_files(make_key_files(ROLES), folder)
    wired = replace(wiring(tcp_addresses), run_folder=str(folder), keys=str(paths["learner"]))
    foreign = json.loads(paths["learner"].read_text())["public"]
    theirs = json.loads(make_key_files(["actor"])["actor"])
    paths["actor"].write_text(json.dumps(theirs | {"public": foreign | theirs["public"]}))
    with Joined(wired), Joined(replace(wired, role="actor", serves_control=False, keys=str(paths["actor"]))) as actor:
        assert actor.stopping.wait(120)
        with pytest.raises(Refused, match="actor/0 was turned away: authentication failed"):
            actor.session.check()
