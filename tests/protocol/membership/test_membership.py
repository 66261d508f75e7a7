"""Control: who is alive is known, 'stop' reaches everyone, and a busy process is not a dead one."""

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from surreal.protocol.membership import member as member_module
from surreal.protocol.membership import server as servers
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.transport import connections
from surreal.protocol.transport.connections import Connection, Connections
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.sessions import DEAD_AFTER_S
from surreal.protocol.wire.packet import Kind, Packet

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]


def test_members_are_alive_until_they_leave(make_node: MakeNode, address: str, until: Until) -> None:
    server = Server(make_node("learner/0"), address)
    members = [Member(make_node(name), address) for name in ("actor/0", "actor/12", "evaluator/0")]
    until(lambda: server.alive("actor") == {0, 12} and server.alive("evaluator") == {0}, "all to join")
    assert server.alive("learner") == set()
    members[1].close()
    until(lambda: server.alive("actor") == {0}, "actor/12 to leave")


def test_stop_reaches_every_process_and_is_confirmed(
    start: Start, make_node: MakeNode, address: str, until: Until
) -> None:
    server = Server(make_node("learner/0"), address)
    children = [start("member", address, f"actor/{i}", 1) for i in range(3)]
    until(lambda: server.alive("actor") == {0, 1, 2}, "all to join")
    server.stop_all("the run is over", timeout=100)
    assert [child.communicate()[0] for child in children] == ["the run is over\n"] * 3
    assert [child.returncode for child in children] == [0] * 3
    late = start("member", address, "actor/3", 1)
    assert late.communicate()[0] == "the run is over\n"


def test_a_crash_before_the_first_contact_is_told_all_the_same(
    make_node: MakeNode, address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_module, "JOIN_S", 120.0)
    told: list[tuple[str, str]] = []
    member = Member(make_node("actor/0"), address)
    leaving = threading.Thread(target=member.close, kwargs={"crashed": "no such device"})
    leaving.start()
    Server(make_node("learner/0"), address, on_crash=lambda name, why: told.append((name, why)))
    until(lambda: told == [("actor/0", "no such device")], "the crash to be told")
    leaving.join()


class Clock:
    """The time as control sees it; the loop's timers keep the real one."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_server_whose_io_thread_hung_takes_nobody_for_dead(
    make_node: MakeNode, address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, go_on = Clock(), threading.Event()
    for module in (member_module, servers):
        monkeypatch.setattr(module, "time", clock)
    for module in (member_module, servers):
        monkeypatch.setattr(module, "BEAT_INTERVAL_S", 0.05)
    node = make_node("learner/0")
    server = Server(node, address)
    member = Member(make_node("actor/0"), address)
    until(lambda: server.alive("actor") == {0}, "it to join")
    node.loop.call(lambda: (go_on.wait(), None)[1])
    clock.now += 60
    until(lambda: member._unanswered >= 5, "beats that nobody answers")
    assert server.alive("actor") == {0}
    go_on.set()
    until(lambda: server._polled == clock.now, "the server to look again")
    assert server.alive("actor") == {0}


def test_a_computing_server_hears_and_answers(start: Start, make_node: MakeNode, folder: Path, until: Until) -> None:
    address = f"ipc://{folder}/control"
    learner = start("busy_learner", f"ipc://{folder}/weights", address, 1, folder / "end")
    node = make_node("actor/0")
    member = Member(node, address)
    until(lambda: member._server == "learner/0", "an answer")
    assert learner.poll() is None
    (folder / "end").touch()
    assert node.stopping.wait(120)
    assert node.stop_reason == "the run is over"
    assert learner.wait(120) == 0


def test_contact_that_is_lost_and_restored_is_said_once(
    make_node: MakeNode,
    address: str,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in (member_module, servers):
        monkeypatch.setattr(module, "BEAT_INTERVAL_S", 0.05)
    for module in (member_module, servers):
        monkeypatch.setattr(module, "DEAD_AFTER_S", 2.0)
    caplog.set_level("INFO", "surreal")
    server = Server(make_node("learner/0", 1), address)
    Member(make_node("actor/0"), address)
    until(lambda: server.alive("actor") == {0}, "it to join")
    server.close()
    until(lambda: "no contact with learner/0" in caplog.text, "the loss to be noticed")
    Server(make_node("learner/0", 2), address)
    until(lambda: "contact with learner/0 restored after" in caplog.text, "the contact")
    assert caplog.text.count("no contact with learner/0") == 1


@pytest.mark.parametrize(
    ("incarnations", "reason"), [((2, 1), "was replaced by incarnation 2"), ((1, 1), "is held by incarnation 1")]
)
def test_of_two_members_with_one_name_one_is_turned_away(
    make_node: MakeNode, address: str, until: Until, incarnations: tuple[int, int], reason: str
) -> None:
    server = Server(make_node("learner/0"), address)
    first = Member(make_node("actor/0", incarnations[0]), address)
    until(lambda: server.alive("actor") == {0}, "the first to join")
    node = make_node("actor/0", incarnations[1])
    second = Member(node, address)
    assert node.stopping.wait(120)
    assert reason in second.refused and "pid" in second.refused
    assert first.refused == ""


def test_members_of_a_large_run_beat_as_rarely_as_the_server_asks(
    make_node: MakeNode, address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (member_module, servers):
        monkeypatch.setattr(module, "BEAT_INTERVAL_S", 0.05)
    monkeypatch.setattr(servers, "MAX_BEATS", 1)
    server = Server(make_node("learner/0"), address)
    members = [Member(make_node(f"actor/{i}"), address) for i in range(4)]
    until(lambda: all(member._every == pytest.approx(0.2) for member in members), "all to hear of four beats")
    members.pop().close()
    until(lambda: all(member._every == pytest.approx(0.15) for member in members), "the others to hear of three")
    assert server.alive("actor") == {0, 1, 2}


def test_no_answer_makes_a_member_beat_too_often_or_so_rarely_that_it_seems_dead(
    make_node: MakeNode, address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "MAX_BEATS", 1e-9)
    Server(make_node("learner/0"), address)
    member = Member(make_node("actor/0"), address)
    until(lambda: member._every > servers.BEAT_INTERVAL_S, "an answer")
    assert member._every == pytest.approx(DEAD_AFTER_S / 3)
    for wanted in (float("nan"), -1.0, 0.0):
        member._note_contact(Packet(Kind.STATE, 0, 0, 0, 0, "learner/0", 1, (0, 0), {"every": wanted}, {}, 0))
        assert member._every == servers.BEAT_INTERVAL_S


def test_of_more_connections_than_are_weighed_at_a_look_each_has_its_turn(
    make_node: MakeNode, tcp_address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[set[int]] = []
    weighed: set[int] = set()
    monkeypatch.setattr(connections, "CHECKED_PER_POLL", 2)
    monkeypatch.setattr(Connections, "_check", lambda _, connection: weighed.add(connection.fd))
    take_turns = Connections._next

    def noted(self: Connections) -> list[Connection]:
        turn = take_turns(self)
        looks.append({each.fd for each in turn})
        return turn

    monkeypatch.setattr(Connections, "_next", noted)
    server = Server(make_node("learner/0"), tcp_address)
    for i in range(6):
        Member(make_node(f"actor/{i}"), tcp_address)
    until(lambda: server.alive("actor") == set(range(6)), "all to join")
    looks.clear()
    weighed.clear()
    until(lambda: len(weighed) == 6, "all to be weighed")
    until(lambda: len(looks) >= 3, "three looks")
    assert min(map(len, looks)) < 6
