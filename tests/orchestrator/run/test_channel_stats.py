"""channels.json -> the channels of a run: sums, and who stands out."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.run.channel_stats import read_channels

ROW: dict[str, Any] = {
    "channel": "experience",
    "kind": "stream",
    "process": "actor/0",
    "incarnation": 1,
    "end": "send",
    "messages": 10,
    "bytes": 1000,
    "resent": 0,
    "duplicates": 0,
    "refused": 0,
    "dropped": 0,
    "blocked_seconds": 1.0,
    "depth": 3,
    "messages_per_second": 5.0,
    "bytes_per_second": 500.0,
    "blocked_share": 0.25,
}
ROWS = [
    ROW,
    {**ROW, "process": "actor/1", "resent": 2, "refused": 1, "blocked_share": 0.5},
    {**ROW, "process": "learner/0", "end": "receive", "messages_per_second": 9.5, "refused": 4, "depth": 1}
    | {"blocked_share": 0.0},
    {**ROW, "channel": "control", "kind": "control", "process": "learner/0", "end": "serve"},
    {**ROW, "channel": "weights", "kind": "broadcast", "process": "learner/0"},
]


def write(folder: Path, rows: list[dict[str, Any]], at: float | None = None) -> Path:
    path = folder / "channels.json"
    path.write_text(json.dumps({"time": time.time() if at is None else at, "channels": rows}))
    return path


def test_a_channel_is_added_up_over_its_processes(tmp_path: Path) -> None:
    channels = read_channels(write(tmp_path, ROWS), over=False)
    assert [channel.name for channel in channels] == ["experience", "weights", "control"]
    experience = channels[0].document()
    processes = experience.pop("processes")
    assert experience == {
        "name": "experience",
        "kind": "stream",
        "messages_per_second": 10.0,
        "bytes_per_second": 1000.0,
        "resent": 2,
        "duplicates": 0,
        "refused": 5,
        "dropped": 0,
        "blocked_share": 0.5,
        "depth": 6,
    }
    assert processes == [{k: v for k, v in row.items() if k not in ("channel", "kind")} for row in ROWS[:3]]
    worst = {number: channels[0].worst(number) for number in ("resent", "refused", "dropped", "blocked_share")}
    assert {number: end and end.process for number, end in worst.items()} == {
        "resent": "actor/1",
        "refused": "learner/0",
        "dropped": None,
        "blocked_share": "actor/1",
    }


@pytest.mark.parametrize(("age", "over"), [(60.0, False), (0.0, True)], ids=["old", "over"])
def test_what_is_past_has_counts_but_no_rates(tmp_path: Path, age: float, over: bool) -> None:
    (experience, *_) = read_channels(write(tmp_path, ROWS, time.time() - age), over)
    assert experience.total("refused") == 5
    assert [experience.flow(number) for number in ("messages_per_second", "depth")] == [None, None]
    assert experience.blocked_share is None


def test_a_process_whose_rates_are_not_known_does_not_hide_those_of_others(tmp_path: Path) -> None:
    unknown = {**ROW, "process": "actor/1", "messages_per_second": None, "blocked_share": None}
    (experience,) = read_channels(write(tmp_path, [ROW, unknown]), over=False)
    assert (experience.flow("messages_per_second"), experience.blocked_share) == (5.0, 0.25)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"time": 1, "channels": [{}]}', '{"channels": []}', "\udc80"])
def test_a_file_that_makes_no_sense_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "channels.json").write_text(text, errors="surrogateescape")
    assert read_channels(tmp_path / "channels.json", over=False) == ()


def test_a_row_of_a_later_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    (experience,) = read_channels(write(tmp_path, [{**ROW, "colour": "red"}]), over=False)
    assert experience.ends[0].messages == 10


def test_before_the_first_report_there_are_no_channels(tmp_path: Path) -> None:
    assert read_channels(tmp_path / "channels.json", over=False) == ()
