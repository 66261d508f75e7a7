"""Counters travel with the beats to the process that serves control, which believes only what can be true."""

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.protocol.membership import member as member_module
from surreal.protocol.membership import server as servers
from surreal.protocol.membership.member import Member
from surreal.protocol.membership.server import Server
from surreal.protocol.telemetry import reporter as observer
from surreal.protocol.telemetry.counters import MAX_ENDS, CounterTable, parse, report
from surreal.protocol.transport.node import Node
from surreal.protocol.transport.stats import Stats
from surreal.protocol.wiring import ChannelWiring, Wiring
from tests.protocol.joined import Joined

MakeNode = Callable[..., Node]
Until = Callable[..., None]
NUMBERS = [7, 800, 0, 0, 0, 0, 0.5, 3]
"""Of one end, in the order of Stats."""


class Count:
    """An end of a channel that has counted."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats


def wiring(folder: Path, role: str = "learner", index: int = 0, incarnation: int = 1) -> Wiring:
    """A learner that serves control and two actors, with a stream and a broadcast."""
    stream = ChannelWiring("experience", "stream", ("actor",), ("learner",), addresses=(f"ipc://{folder}/e",), window=4)
    weights = ChannelWiring("weights", "broadcast", ("learner",), ("actor",), addresses=(f"ipc://{folder}/w",))
    return Wiring(
        experiment="test",
        role=role,
        index=index,
        incarnation=incarnation,
        run="",
        replicas={"learner": 1, "actor": 2},
        channels={"experience": stream, "weights": weights},
        control=f"ipc://{folder}/control",
        serves_control=role == "learner",
        run_folder=str(folder),
        seed=1,
    )


def written(folder: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What channels.json says: (process, verb, channel) -> row."""
    path = folder / "channels.json"
    rows = json.loads(path.read_text())["channels"] if path.exists() else []
    return {(row["process"], row["end"], row["channel"]): row for row in rows}


def test_the_counters_of_all_processes_reach_the_run_folder(
    folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "WRITE_INTERVAL_S", 0.05)
    for module in (member_module, servers):
        monkeypatch.setattr(module, "BEAT_INTERVAL_S", 0.05)
    with ExitStack() as stack:
        learner = stack.enter_context(Joined(wiring(folder)))
        actors = [stack.enter_context(Joined(wiring(folder, "actor", i))) for i in range(2)]
        receiver = learner.receiver("experience")
        for actor in actors:
            for _ in range(3):
                assert actor.sender("experience").send({"steps": np.zeros(10)})
        for _ in range(6):
            assert receiver.recv(120)
        counted = {
            ("actor/0", "send", "experience"): 3,
            ("actor/1", "send", "experience"): 3,
            ("learner/0", "receive", "experience"): 6,
        }
        until(
            lambda: {key: row["messages"] for key, row in written(folder).items() if key[2] != "control"} == counted,
            "every message to be counted at both ends",
        )
        rows = written(folder)
        assert rows["learner/0", "receive", "experience"]["bytes"] == 6 * 80
        assert rows["learner/0", "serve", "control"]["depth"] == 2, "members"
        until(
            lambda: all(row["messages_per_second"] is not None for row in written(folder).values()),
            "a second report of each, and so rates",
        )


def test_the_last_counts_are_written_at_the_end(folder: Path) -> None:
    with Joined(wiring(folder)) as learner, Joined(wiring(folder, "actor")) as actor:
        actor.sender("experience").send({})
        assert learner.receiver("experience").recv(120)
    assert written(folder)["learner/0", "receive", "experience"]["messages"] == 1


def test_a_run_folder_that_cannot_be_written_is_said_once_and_costs_nothing_else(
    folder: Path, until: Until, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(observer, "WRITE_INTERVAL_S", 0.01)
    (folder / ".channels.json").mkdir()
    with Joined(wiring(folder)) as learner:
        until(lambda: learner.session.counters.rows() and "cannot write" in caplog.text, "a failed attempt")
        before = learner.session.counters.rows()[0]
        until(lambda: learner.session.counters.rows()[0]["blocked_share"] is not None, "more attempts")
        assert learner.session.counters.rows()[0]["process"] == before["process"] == "learner/0"
    assert caplog.text.count("cannot write") == 1


def test_a_report_survives_its_journey() -> None:
    stats = Stats(messages=7, bytes=800, blocked_seconds=0.5, depth=3)
    at, ends = parse(json.loads(json.dumps(report({("send", "experience"): Count(stats)}))))
    assert at > 0 and ends == {("send", "experience"): stats}


def test_a_process_with_very_many_channels_reports_the_first_of_them() -> None:
    many = {("send", f"channel{i}"): Count(Stats()) for i in range(MAX_ENDS + 5)}
    assert len(parse(report(many))[1]) == MAX_ENDS


def numbers(position: int, value: Any) -> list[Any]:
    """Counters of which one is replaced."""
    return [*NUMBERS[:position], value, *NUMBERS[position + 1 :]]


GARBAGE: list[Any] = [
    None,
    [],
    "counters",
    {},
    {"at": 1.0},
    {"at": 1.0, "ends": {}},
    {"at": 1.0, "ends": [], "more": 1},
    {"at": 1, "ends": []},
    {"at": math.nan, "ends": []},
    {"at": -1.0, "ends": []},
    {"at": 1.0, "ends": [[]]},
    {"at": 1.0, "ends": [["send", "experience"]]},
    {"at": 1.0, "ends": [["send", "experience", *NUMBERS, 1]]},
    {"at": 1.0, "ends": [[b"send", "experience", *NUMBERS]]},
    {"at": 1.0, "ends": [["two words", "experience", *NUMBERS]]},
    {"at": 1.0, "ends": [["x" * 17, "experience", *NUMBERS]]},
    {"at": 1.0, "ends": [["send", "experience", *NUMBERS]] * (MAX_ENDS + 1)},
    {"at": 1.0, "ends": [["send", 'no"such', *NUMBERS]]},
    *(
        {"at": 1.0, "ends": [["send", "experience", *numbers(position, value)]]}
        for position, value in [
            (0, -1),
            (0, 2**63),
            (1, True),
            (1, 1.5),
            (2, "7"),
            (3, None),
            (6, 1),
            (6, math.nan),
            (6, math.inf),
            (6, -0.5),
            (7, []),
        ]
    ),
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: str(data)[:60])
def test_garbage_is_no_report(folder: Path, data: Any) -> None:
    table = CounterTable(wiring(folder))
    with pytest.raises(ValueError):
        table.take("actor/0", 1, data)
    assert table.rows() == []


@pytest.mark.parametrize("process", ["actor/2", "actor/-1", "actor/", "actor", "", "spy/0", "actor/²"])
def test_only_processes_of_the_run_have_counters(folder: Path, process: str) -> None:
    with pytest.raises(ValueError, match="this run has no process"):
        CounterTable(wiring(folder)).take(process, 1, report({}))


def test_garbage_in_a_beat_is_refused_and_its_sender_lives_on(
    make_node: MakeNode, folder: Path, address: str, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    table = CounterTable(wiring(folder))
    server = Server(make_node("learner/0"), address, table.take)
    Member(make_node("actor/0"), address, lambda: {"at": 1.0, "ends": [["send", "experience", "lots"]]})
    honest = {("send", "experience"): Count(Stats(messages=7))}
    Member(make_node("actor/1"), address, lambda: report(honest))
    until(lambda: server.stats.refused and table.rows(), "both to report")
    assert server.alive("actor") == {0, 1}
    assert [(row["process"], row["messages"]) for row in table.rows()] == [("actor/1", 7)]
    assert "refused the counters of actor/0: an end of a channel is two names and 8 numbers" in caplog.text


def take(table: CounterTable, at: float, incarnation: int, **counts: Any) -> None:
    """One more report of actor/0."""
    data = report({("send", "experience"): Count(Stats(**counts))})
    table.take("actor/0", incarnation, {**data, "at": at})


def test_rates_are_of_the_time_between_two_reports_of_one_incarnation(folder: Path) -> None:
    table = CounterTable(wiring(folder))
    take(table, 100.0, 1, messages=10, bytes=1000)
    assert table.rows()[0]["messages_per_second"] is None
    take(table, 102.0, 1, messages=30, bytes=3000, blocked_seconds=0.5)
    row = table.rows()[0]
    assert (row["messages_per_second"], row["bytes_per_second"], row["blocked_share"]) == (10.0, 1000.0, 0.25)
    take(table, 101.0, 1, messages=99)
    assert table.rows()[0]["messages"] == 30, "what comes late says nothing new"
    take(table, 5.0, 2, messages=1)
    row = table.rows()[0]
    assert (row["messages"], row["messages_per_second"], row["incarnation"]) == (1, None, 2)
    take(table, 200.0, 1, messages=99)
    assert table.rows()[0]["messages"] == 1, "a process that was replaced has no say"


def test_a_silent_process_has_counts_but_no_rates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = CounterTable(wiring(folder))
    take(table, 100.0, 1, messages=10)
    take(table, 102.0, 1, messages=30)
    monkeypatch.setattr("surreal.protocol.telemetry.counters.DEAD_AFTER_S", 0.0)
    assert (table.rows()[0]["messages"], table.rows()[0]["messages_per_second"]) == (30, None)
