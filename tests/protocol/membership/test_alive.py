"""Alive: a process that computes is not dead, whatever it computes in; one that is stopped is, soon."""

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from surreal.protocol.membership import member as member_module
from surreal.protocol.membership import server as servers
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.transport import socket_options as port
from surreal.protocol.transport.node import Node

MakeNode = Callable[..., Node]
Start = Callable[..., subprocess.Popen[str]]
Until = Callable[..., None]
SLOW = [pytest.mark.slow, pytest.mark.timeout(180)]
CASES = pytest.mark.parametrize(
    ("how", "seconds", "dead_after"),
    [
        pytest.param("c", 3.0, 2.0, marks=SLOW, id="3 s in C, dead after 2 s"),
        pytest.param("python", 3.0, 2.0, marks=SLOW, id="3 s in Python, dead after 2 s"),
        pytest.param("c", 20.0, None, marks=SLOW, id="20 s in C, as released"),
        pytest.param("python", 20.0, None, marks=SLOW, id="20 s in Python, as released"),
    ],
)


def hasten(monkeypatch: pytest.MonkeyPatch, dead_after: float | None) -> None:
    """Judge sooner than released, unless that is None."""
    if dead_after is not None:
        for module in (member_module, servers):
            monkeypatch.setattr(module, "BEAT_INTERVAL_S", 0.2)
        for module in (member_module, servers):
            monkeypatch.setattr(module, "DEAD_AFTER_S", dead_after)
        monkeypatch.setattr(port, "HEARTBEAT_TIMEOUT_S", 1.8)


class Clock:
    """The time as control sees it; the loop's timers keep the real one."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def tell(child: subprocess.Popen[str]) -> None:
    """Have a busy process go on."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def test_a_member_inside_a_call_that_blocks_python_is_alive_as_long_as_its_machine_answers(
    start: Start, make_node: MakeNode, tcp_address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(servers, "time", clock)
    monkeypatch.setattr(servers, "BEAT_INTERVAL_S", 0.1)
    monkeypatch.setattr(port, "HEARTBEAT_TIMEOUT_S", 4.0)
    server = Server(make_node("learner/0"), tcp_address)
    child = start("busy", "member", tcp_address, "told", 0)
    assert read_line(child) == "busy"
    for _ in range(3):
        clock.now += 60
        until(lambda: server._polled == clock.now, "the server to look at one that is silent for a minute")
        assert server.alive("actor") == {0}
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: server.alive("actor") == set(), "its death to be noticed")
    os.kill(child.pid, signal.SIGCONT)
    tell(child)
    until(lambda: server.alive("actor") == {0}, "the member to be heard again")


def test_a_learner_inside_a_call_that_blocks_python_is_no_lost_contact_as_long_as_its_machine_answers(
    start: Start,
    make_node: MakeNode,
    tcp_address: str,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(member_module, "BEAT_INTERVAL_S", 0.02)
    monkeypatch.setattr(member_module, "DEAD_AFTER_S", 1.0)
    monkeypatch.setattr(port, "HEARTBEAT_TIMEOUT_S", 4.0)
    caplog.set_level("INFO", "surreal")
    child = start("busy", "server", tcp_address, "told", 0)
    member = Member(make_node("actor/0"), tcp_address)
    assert read_line(child) == "busy"
    caplog.clear()  # it may have taken long to start
    # silence is counted in beats, of which three are enough where the server is not connected
    until(lambda: member._unanswered >= 9, "many beats without an answer")
    assert "no contact" not in caplog.text
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: "no contact with learner/0" in caplog.text, "its death to be noticed")
    os.kill(child.pid, signal.SIGCONT)
    tell(child)
    until(lambda: "contact with learner/0 restored" in caplog.text, "the contact")


def read_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


@CASES
def test_a_member_that_computes_is_never_declared_dead_and_a_stopped_one_is(
    start: Start,
    make_node: MakeNode,
    tcp_address: str,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
    seconds: float,
    dead_after: float | None,
) -> None:
    hasten(monkeypatch, dead_after)
    server = Server(make_node("learner/0"), tcp_address)
    child = start("busy", "member", tcp_address, how, seconds)
    assert (read_line(child), read_line(child)) == ("busy", "back")
    assert server.alive("actor") == {0} and "dead" not in caplog.text
    soon = 10 if dead_after is None else 30
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: server.alive("actor") == set(), "its death to be noticed", soon)
    os.kill(child.pid, signal.SIGCONT)
    until(lambda: server.alive("actor") == {0}, "the member to be heard again")


@CASES
def test_a_learner_that_computes_is_never_declared_dead_and_a_stopped_one_is(
    start: Start,
    make_node: MakeNode,
    tcp_address: str,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
    seconds: float,
    dead_after: float | None,
) -> None:
    hasten(monkeypatch, dead_after)
    caplog.set_level("INFO", "surreal")
    child = start("busy", "server", tcp_address, how, seconds)
    Member(make_node("actor/0"), tcp_address)
    assert read_line(child) == "busy"
    caplog.clear()  # it may have taken long to start
    assert read_line(child) == "back"
    assert "no contact" not in caplog.text
    soon = 10 if dead_after is None else 30
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: "no contact with learner/0" in caplog.text, "its death to be noticed", soon)
    os.kill(child.pid, signal.SIGCONT)
    until(lambda: "contact with learner/0 restored" in caplog.text, "the contact")


def test_a_process_that_is_killed_while_it_computes_is_declared_dead(
    start: Start, make_node: MakeNode, tcp_address: str, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch, 2.0)
    server = Server(make_node("learner/0"), tcp_address)
    child = start("busy", "member", tcp_address, "c", 60)
    assert read_line(child) == "busy"
    child.kill()
    until(lambda: server.alive("actor") == set(), "the member to be declared dead")


def test_stop_reaches_64_members_and_all_confirm(
    start: Start, make_node: MakeNode, tcp_address: str, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "surreal")
    server = Server(make_node("learner/0"), tcp_address)
    each = 64 // 4
    children: list[Any] = [start("members", tcp_address, i * each, (i + 1) * each) for i in range(4)]
    until(lambda: len(server.alive("actor")) == 64, "64 members")
    server.stop_all("the run is over", timeout=100)
    assert "did not confirm" not in caplog.text
    for i, child in enumerate(children):
        assert child.communicate()[0].split() == [f"actor/{j}" for j in range(i * each, (i + 1) * each)]
