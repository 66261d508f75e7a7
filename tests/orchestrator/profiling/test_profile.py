"""Profile: files of a run in; timelines on one clock, a report, a trace and advice out; damage is said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.orchestrator.client import Run
from surreal.orchestrator.profiling.advice import advise
from surreal.orchestrator.profiling.breakdown import Breakdown
from surreal.orchestrator.profiling.critical_path import critical_path
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.profiling.report import write_report
from surreal.orchestrator.profiling.sweep import UNRECORDED
from surreal.orchestrator.profiling.take import begin_and_profile
from surreal.orchestrator.profiling.timelines import Interval, Timeline, read_timelines
from surreal.orchestrator.profiling.trace import write_trace
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.protocol.profiling.chunks import ROW, Chunk
from surreal.protocol.profiling.spans import SPAN, TIMED

MS = 1_000_000
NAMES = [("wait", "idle"), ("acting", "python"), ("<b>learn</b>", "numeric"), ("simulation", "simulator")]


def chunk(number: int, rows: list[tuple[int, int, int]], **changes: Any) -> Chunk:
    """A chunk of 100 ms; rows are (key, start, end) in ms."""
    table = np.array([(key, 0, 7, s * MS, (e - s) * MS, 0, SPAN) for key, s, e in rows], dtype=ROW)
    table = changes.pop("table", table)
    values: dict[str, Any] = {
        **{"profile": "p", "number": number, "begin": (1 + 100 * number) * MS, "end": (101 + 100 * number) * MS},
        **{"offset": 0, "error": 1000, "cpu": 1, "delayed": 0, "lost": 0, "main": 7, "names": NAMES, "rows": table},
        **{"open": table[:0], "costs": {}, "calls": []},
    }
    return Chunk(**{**values, **changes})


def write(folder: Path, process: str, *chunks: Chunk) -> Path:
    """Write the file of one process."""
    path = folder / f"{process}.1.spans"
    path.write_bytes(b"".join(each.to_line() for each in chunks))
    return path


def test_files_of_all_processes_become_timelines_on_one_clock(tmp_path: Path) -> None:
    write(tmp_path, "learner-0", chunk(0, [(2, 10, 50)]), chunk(1, [(0, 110, 190)]))
    write(tmp_path, "actor-0", chunk(0, [(1, 5, 90)], offset=40 * MS), chunk(1, [], offset=40 * MS))
    actor, learner = read_timelines(tmp_path)
    assert (actor.process, learner.process) == ("actor/0", "learner/0")
    assert actor.begin == 41 * MS and actor.intervals[0][:3] == (45 * MS, 130 * MS, "acting")
    assert [each.name for each in learner.intervals] == ["<b>learn</b>", "wait"]


def test_pieces_that_travelled_apart_from_their_span_find_it(tmp_path: Path) -> None:
    piece = np.array([(3, 1, 7, 5 * MS, 60 * MS, 64, TIMED)], dtype=ROW)
    write(tmp_path, "actor-0", chunk(0, [(1, 5, 90)]), chunk(1, [], table=piece))
    (actor,) = read_timelines(tmp_path)
    assert actor.intervals[0].pieces == (("simulation", "simulator", 60 * MS, 64, "timed"),)


def test_a_process_that_died_is_read_as_far_as_it_came_and_named(tmp_path: Path) -> None:
    write(tmp_path, "learner-0", *(chunk(number, []) for number in range(50)))
    path = write(tmp_path, "actor-0", chunk(0, [(1, 5, 90)]), chunk(1, [(1, 105, 190)]))
    path.write_bytes(path.read_bytes()[:-40])
    profile = Profile.read("cheetah", tmp_path)
    assert "actor/0: 1 damaged pieces were left out" in profile.notes
    assert any("actor/0 was recorded up to 4.9 s before the end" in note for note in profile.notes)


def test_a_clock_that_jumped_is_said_and_the_rest_stays_in_place(tmp_path: Path) -> None:
    write(tmp_path, "actor-0", chunk(0, [(1, 5, 90)], error=10), chunk(1, [(1, 105, 190)], offset=7000 * MS))
    (actor,) = read_timelines(tmp_path)
    assert actor.notes == ("actor/0: its clock jumped by 7,000.0 ms",)
    assert actor.intervals[0].start == 5 * MS and actor.intervals[1].start == 7105 * MS


def test_small_changes_of_a_measured_offset_are_no_jump(tmp_path: Path) -> None:
    write(tmp_path, "actor-0", chunk(0, [], offset=300_000, error=900_000), chunk(1, [], offset=-50_000, error=20_000))
    (actor,) = read_timelines(tmp_path)
    assert actor.notes == () and actor.begin == 1 * MS - 50_000 and actor.clock_error == 20_000


def test_a_folder_without_records_says_so(tmp_path: Path) -> None:
    (tmp_path / "actor-0.1.spans").write_bytes(b"{}\n")
    with pytest.raises(SurrealError, match="no process recorded anything"):
        Profile.read("cheetah", tmp_path)


def way() -> list[Timeline]:
    """Two updates of one actor and a learner: 30 ms acting, 2 sending, 3 on the way, 40 learning, 1 publishing."""
    acting, learning = list[Interval](), list[Interval]()
    for begin in (0, 100, 200):
        acting += [span(begin, begin + 30, "acting"), span(begin + 30, begin + 32, "send", "communication")]
        learning += [span(begin + 35, begin + 75, "learn"), span(begin + 75, begin + 76, "publish", "communication")]
    return [timeline("actor/0", acting), timeline("learner/0", learning)]


def span(start: int, end: int, name: str, resource: str = "python") -> Interval:
    """An interval in milliseconds."""
    return Interval(start * MS, end * MS, name, resource, 0)


def timeline(process: str, intervals: list[Interval]) -> Timeline:
    """A timeline of 300 ms."""
    return Timeline(process, 1, 0, 300 * MS, intervals, [], 0, 0, 0, {})


def test_the_critical_path_leads_from_a_step_to_the_weights() -> None:
    path = critical_path(way())
    assert path is not None and path.updates == 2
    assert {name: round(seconds * 1000) for name, seconds in path.seconds.items()} == {
        "acting": 30,
        "send": 2,
        "on the way": 3,
        "learn": 40,
        "publish": 1,
        "weights on the way": 24,
    }


def test_without_an_update_there_is_no_path() -> None:
    assert critical_path([timeline("actor/0", [span(0, 10, "acting")])]) is None


def test_a_trace_is_valid_nested_and_of_bounded_size(tmp_path: Path) -> None:
    timelines = way()
    assert write_trace(timelines, tmp_path / "trace.json") == 0
    data = json.loads((tmp_path / "trace.json").read_text())
    spans = [event for event in data["traceEvents"] if event["ph"] == "X"]
    assert len(spans) == 12 and {event["pid"] for event in spans} == {1, 2}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 and event["cat"] for event in spans)
    assert write_trace(timelines, tmp_path / "small.json", most=5) == 7
    small = json.loads((tmp_path / "small.json").read_text())
    assert small["otherData"]["spans_left_out"] == 7
    kept = [event["dur"] for event in small["traceEvents"] if event["ph"] == "X"]
    assert len(kept) == 5 and min(kept) >= 30_000


def test_the_report_is_one_file_that_escapes_names(tmp_path: Path) -> None:
    write(tmp_path, "learner-0", chunk(0, [(2, 10, 50)]), chunk(1, [(0, 110, 190)]))
    profile = Profile.read("<script>alert(1)</script>", tmp_path)
    write_report(profile, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "&lt;b&gt;learn&lt;/b&gt;" in text
    assert "http://" not in text and "https://" not in text and "prefers-color-scheme: dark" in text


def role(name: str, cpu: float = 1.0, **seconds: float) -> Breakdown:
    """A role of one wall second."""
    known = {"idle": "idle", "send": "communication", "checkpoint": "python"}
    return Breakdown(name, 1.0, {(key, known.get(key, "numeric")): spent for key, spent in seconds.items()}, cpu)


def test_a_learner_that_waits_gets_more_actors_and_a_full_one_less_work() -> None:
    starving = {"learner": role("learner", learn=0.3, idle=0.7), "actor": role("actor", acting=1.0)}
    assert advise(starving)[0].startswith("actor: is busy 100% of the time while learner waits 70%")
    full = {"learner": role("learner", learn=0.2, backward=0.8), "actor": role("actor", acting=0.4, idle=0.6, cpu=0.4)}
    assert "most of it in backward: fewer epochs" in advise(full)[0] and "GPU" in advise(full)[0]
    # no faster network shortens the wait for samples
    sampling = role("learner", learn=0.2, backward=0.3)
    sampling = replace(sampling, seconds={**sampling.seconds, ("sample", "communication"): 0.5})
    text = advise({**full, "learner": sampling})[0]
    assert "most of it in sample: more shards" in text and "GPU" not in text


def test_a_learner_whose_update_outlasts_the_profile_is_not_told_to_have_more_processes() -> None:
    (text,) = advise({"learner": role("learner", outside=1.0), "actor": role("actor", idle=1.0)})
    assert "Learning bounds the run" in text and "Add processes" not in text


def test_roles_that_take_turns_are_told_to_overlap() -> None:
    turns = {
        "learner": role("learner", learn=0.4, idle=0.6, cpu=0.4),
        "actor": role("actor", acting=0.6, idle=0.4, cpu=0.6),
    }
    (text,) = advise(turns)
    assert text.startswith("actor waits 40% and learner 60% of the time, in turns.")


def test_too_few_cores_and_much_talk_are_said() -> None:
    learner = replace(role("learner", cpu=0.3, learn=1.0), delayed=0.7)
    texts = advise({"learner": learner, "actor": role("actor", acting=0.7, send=0.3)})
    assert any(text.startswith("learner: waits for a core for 70% of the time") for text in texts)
    assert any(text.startswith("actor: spends 30% of its time on communication") for text in texts)


def test_a_process_that_sleeps_in_its_environment_lacks_no_core() -> None:
    sleeping = {"learner": role("learner", idle=1.0), "actor": role("actor", cpu=0.02, acting=1.0)}
    assert not any("core" in text for text in advise(sleeping))
    woken = {**sleeping, "actor": replace(sleeping["actor"], delayed=0.05)}
    assert not any("core" in text for text in advise(woken))


def test_pieces_that_never_arrived_are_unrecorded_and_not_outside(tmp_path: Path) -> None:
    write(tmp_path, "actor-0", chunk(0, [(1, 1, 101)]), chunk(3, [(1, 301, 401)]))
    (found,) = Profile.read("cheetah", tmp_path).processes
    assert found.seconds == {("acting", "python"): 0.2, UNRECORDED: 0.2}


def test_two_starts_of_a_process_are_one_of_its_role(tmp_path: Path) -> None:
    path = write(tmp_path, "actor-0", chunk(0, [(1, 1, 101)]))
    path.rename(tmp_path / "actor-0.2.spans")
    write(tmp_path, "actor-0", chunk(2, [(0, 201, 301)]))
    profile = Profile.read("cheetah", tmp_path)
    actor = profile.roles["actor"]
    assert (actor.processes, actor.wall, actor.busy) == (1, 0.2, 0.5)


def test_a_profile_that_is_shorter_than_asked_says_so(tmp_path: Path) -> None:
    write(tmp_path, "learner-0", *(chunk(number, []) for number in range(40)))
    notes = Profile.read("cheetah", tmp_path, 20.0).notes
    assert notes[0] == "4.0 of 20 s were recorded: the run ended, or was stopped, meanwhile"
    assert not any("were recorded" in note for note in Profile.read("cheetah", tmp_path, 5.0).notes)


def test_a_record_of_no_length_is_none(tmp_path: Path) -> None:
    write(tmp_path, "learner-0", chunk(0, [], end=1 * MS + 1))
    with pytest.raises(SurrealError, match="no process recorded anything"):
        Profile.read("cheetah", tmp_path)


@pytest.mark.parametrize("seconds", [float("nan"), 0.0, 601.0])
def test_a_length_that_is_none_is_refused_before_a_run_begins(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="--seconds: .* is no length of a profile"):
        begin_and_profile(begin, seconds, tmp_path, print)


def test_a_folder_that_takes_no_files_is_refused_before_a_run_begins(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="--out: .*file/out takes no files"):
        begin_and_profile(begin, 5.0, tmp_path / "file" / "out", print)


def begin() -> Run:
    """Fail: nothing may begin."""
    raise AssertionError("a run was begun")
