"""Spans: nothing without a profile; bounded, nested and complete while one is taken."""

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from surreal.protocol.profiling import costs
from surreal.protocol.profiling.chunks import MOST_MARKS, ROW, Chunk, packed
from surreal.protocol.profiling.interception import MOST_NS, Interception
from surreal.protocol.profiling.own import UNKNOWN, Offset, OffsetEstimate, OwnProfile
from surreal.protocol.profiling.request import ProfileRequest
from surreal.protocol.profiling.spans import (
    ACTIVE,
    FOLDED,
    IDLE,
    NOTHING,
    NUMERIC,
    PYTHON,
    SHORTEST_NS,
    SIMULATOR,
    SPAN,
    TIMED,
    TOLD,
    Recorder,
    operation,
)
from surreal.protocol.profiling.taking import Profiling


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """The recorder of this process while the test runs."""
    ACTIVE.recorder = Recorder()
    yield ACTIVE.recorder
    ACTIVE.recorder = None


def test_without_a_profile_an_operation_is_nothing_and_functions_stay_themselves() -> None:
    with operation("learn") as span:
        assert span is NOTHING and span.pieces("simulation", SIMULATOR, len) is len
        span.spent("simulation", SIMULATOR, 1.0, 3)


def test_operations_nest_and_hold_the_pieces_inside_them(recorder: Recorder) -> None:
    recorder.shortest = 0
    with operation("acting") as span:
        step = span.pieces("simulation", SIMULATOR, str)
        assert [step(number) for number in range(5)] == ["0", "1", "2", "3", "4"]
        with operation("wait", IDLE):
            pass
        span.spent("inference", NUMERIC, 0.25, 7)
    wait, acting, inference, simulation = recorder.drain(10)[0]
    names = recorder.names()
    assert [names[mark.key] for mark in (wait, acting)] == [("wait", IDLE), ("acting", PYTHON)]
    assert acting.start <= wait.start and wait.start + wait.duration <= acting.start + acting.duration
    assert (names[simulation.key], simulation.times, simulation.start) == (("simulation", SIMULATOR), 5, acting.start)
    assert (names[inference.key], inference.duration) == (("inference", NUMERIC), 250_000_000)
    assert [mark.kind for mark in (wait, acting, inference, simulation)] == [SPAN, SPAN, TOLD, TIMED]


def test_short_operations_become_pieces_of_the_one_around(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0, 100, 110, 113, 120, 200, 230, SHORTEST_NS))
    monkeypatch.setattr("surreal.protocol.profiling.spans.perf_counter_ns", lambda: next(clock))
    with operation("learn"):
        with operation("update"), operation("forward", NUMERIC):
            pass
        with operation("forward", NUMERIC):
            pass
    names = recorder.names()
    marks = {(names[mark.key][0], mark.kind): (mark.duration, mark.times) for mark in recorder.drain(10)[0]}
    assert marks == {("learn", SPAN): (SHORTEST_NS, 0), ("forward", FOLDED): (33, 2), ("update", FOLDED): (17, 1)}


def test_an_unknown_resource_is_refused_in_words(recorder: Recorder) -> None:
    with pytest.raises(ValueError, match="resource: 'quantum' is none"):
        operation("learn", "quantum")


@pytest.mark.parametrize("profiled", [False, True])
def test_a_mistake_is_refused_with_a_profile_and_without_alike(profiled: bool) -> None:
    ACTIVE.recorder = Recorder() if profiled else None
    with pytest.raises(ValueError, match="resource: 'cpu' is none"):
        operation("plan", "cpu")
    with pytest.raises(ValueError, match="operation: 5 is no name"):
        operation(5)  # type: ignore[arg-type]
    with operation("act") as span:
        with pytest.raises(ValueError, match="resource: 'cpu' is none"):
            span.pieces("simulation", "cpu", len)
        with pytest.raises(ValueError, match="resource: 'cpu' is none"):
            span.spent("simulation", "cpu", 1.0, 1)
    ACTIVE.recorder = None


@pytest.mark.parametrize("profiled", [False, True])
def test_an_attached_profile_ends_no_process(profiled: bool) -> None:
    def step(*, action: int) -> int:
        if action < 0:
            raise LookupError("no such action")
        return action

    ACTIVE.recorder = Recorder() if profiled else None
    span = operation("act")
    span.__exit__(None, None, None)
    with span:
        act = span.pieces("simulation", SIMULATOR, step)
        assert act(action=3) == 3
        with pytest.raises(LookupError):
            act(action=-1)
        for seconds, count in ((float("nan"), 1), (-1.0, -1), (1e300, 2**40), (0.5, 2)):
            span.spent("inference", NUMERIC, seconds, count)
        with span:
            pass
    span.__exit__(None, None, None)
    ACTIVE.recorder = None


def test_what_cannot_be_shown_is_replaced_in_names_and_numbers_end_at_what_travels(recorder: Recorder) -> None:
    for name in ("bad \udcff", "red \x1b[31m\n", "\u202e left", "x" * 999):
        with operation(name, NUMERIC) as span:
            for _ in range(3000):
                span.spent("rest", PYTHON, 9e5, 2**31)
    assert recorder.names() == [
        ("bad ?", NUMERIC),
        ("rest", PYTHON),
        ("red ?[31m?", NUMERIC),
        ("? left", NUMERIC),
        ("x" * 60, NUMERIC),
    ]
    marks, _ = recorder.drain(100)
    rows = packed([mark._replace(duration=2**70) for mark in marks])
    assert rows["count"].max() == 2**32 - 1 and rows["duration"].max() == 2**62 - 1


def test_a_span_that_is_entered_again_tells_its_pieces_once(recorder: Recorder) -> None:
    span = operation("act")
    step = span.pieces("simulation", SIMULATOR, str)
    for number in range(3):
        with span:
            step(number)
    assert [mark.times for mark in recorder.drain(100)[0] if mark.kind == TIMED] == [1, 1, 1]


def test_a_ring_that_is_full_drops_the_oldest_and_counts_them() -> None:
    ACTIVE.recorder = recorder = Recorder(size=10)
    try:
        for _ in range(25):
            with operation("x"):
                pass
    finally:
        ACTIVE.recorder = None
    marks, lost = recorder.drain(100)
    assert (len(marks), lost) == (10, 15)
    assert recorder.drain(100) == ([], 0)


def test_names_are_bounded_and_the_rest_is_others(recorder: Recorder) -> None:
    for number in range(1000):
        with operation(f"name {number}"):
            pass
    names = recorder.names()
    assert len(names) <= 128 and ("others", PYTHON) in names


def test_spans_that_have_not_ended_are_known(recorder: Recorder) -> None:
    with operation("wait", IDLE) as span:
        assert span is not NOTHING
        under = recorder.under_way(10**18)
        assert [recorder.names()[mark.key] for mark in under] == [("wait", IDLE)]
    assert recorder.under_way(10**18) == []


def test_each_thread_has_operations_of_its_own(recorder: Recorder) -> None:
    def work() -> None:
        with operation("beside"):
            pass

    with operation("main"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    beside, main = recorder.drain(10)[0]
    assert recorder.names()[beside.key][0] == "beside" and recorder.names()[main.key][0] == "main"
    assert beside.thread != main.thread


def test_interception_counts_the_calls_of_c_inside_an_operation(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.getprofile", lambda: None)  # a debugger or coverage of the test may use it
    monkeypatch.setattr("surreal.protocol.profiling.interception.MOST_NS", 10**12)
    watch = Interception(recorder)
    recorder.watch, recorder.due = watch.begin, True
    with operation("work"):
        for _ in range(50):
            len(())
    sys.setprofile(None)
    key = recorder.names().index(("work", PYTHON))
    watched, in_c, calls, events = watch.counts[key]
    assert calls >= 50 and events >= 100 and 0 < in_c < watched
    assert not recorder.due


def test_a_sample_of_interception_ends_by_itself(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**12, MOST_NS // 10))
    monkeypatch.setattr("surreal.protocol.profiling.interception.perf_counter_ns", lambda: next(clock))
    watch = Interception(recorder)
    with operation("work"):
        watch.watch()
        for _ in range(50):
            len(())
    sys.setprofile(None)
    assert watch.counts[recorder.names().index(("work", PYTHON))][3] < 20


def test_interception_watches_the_working_thread_alone(recorder: Recorder) -> None:
    watch = Interception(recorder)
    recorder.watch, recorder.due = watch.begin, True

    def work() -> None:
        with operation("beside"):
            len(())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert recorder.due and not watch.counts


def test_costs_of_all_events_are_measured() -> None:
    found = costs.measure()
    timed = {"span", "folded", "timed"}
    assert found.keys() == {*timed, *(f"{name}_inside" for name in timed), "told", "intercepted"}
    assert all(0 < found[f"{name}_inside"] <= found[name] < 1e6 for name in timed)
    assert ACTIVE.recorder is None


def test_the_offset_of_a_clock_is_that_of_the_fastest_round_trip() -> None:
    clock = OffsetEstimate()
    assert clock.best == UNKNOWN
    clock.add(1000, 1_000_900, 1800)  # slow: right within 400
    clock.add(2000, 1_002_010, 2020)
    clock.add(5000, 9_000_000, 4000)  # ended before it began
    assert clock.best == (1_000_000, 10)


def chunk(**changes: object) -> Chunk:
    """A small chunk."""
    recorder = Recorder()
    ACTIVE.recorder = recorder
    with operation("learn"), operation("forward", NUMERIC):
        pass
    ACTIVE.recorder = None
    rows = packed(recorder.drain(10)[0])
    values: dict[str, object] = {
        **{
            "profile": "p",
            "number": 0,
            "begin": 1,
            "end": 2,
            "offset": -3,
            "error": 4,
            "cpu": 5,
            "delayed": 6,
            "lost": 0,
        },
        **{"main": threading.get_ident(), "names": recorder.names(), "rows": rows, "open": rows[:0]},
        **{"costs": {"span": 400.0}, "calls": [[0, 10, 4, 2, 5]]},
    }
    return Chunk(**{**values, **changes})  # type: ignore[arg-type]


def test_a_chunk_survives_the_wire_and_the_disk() -> None:
    sent = chunk()
    for received in (Chunk.parse(sent.to_data()), Chunk.from_line(sent.to_line())):
        assert received.rows.tolist() == sent.rows.tolist() and received.names == sent.names
        assert (received.costs, received.calls, received.offset) == (sent.costs, sent.calls, -3)


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": b"xyz"},
        {"rows": bytes(ROW.itemsize * (MOST_MARKS + 1))},
        {"names": []},
        {"names": [["learn", "quantum"]]},
        {"number": "1"},
        {"end": 2**70},
        {"calls": [[1] * 9]},
        {"costs": 3},
        {"profile": None, "rows": None},
    ],
    ids=str,
)
def test_nonsense_is_refused_before_it_is_used(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="."):
        Chunk.parse({**chunk().to_data(), **damage})


def test_a_line_that_was_cut_is_refused() -> None:
    line = chunk().to_line()
    for end in (0, 10, len(line) // 2):
        with pytest.raises(ValueError, match="."):
            Chunk.from_line(line[:end])


REQUEST = ProfileRequest("p", 60.0, intercept=False)


def test_a_process_records_from_the_request_to_its_end_and_says_what_is_left() -> None:
    own = OwnProfile("actor/0")
    own.obey(None)
    assert not own.active and not list(own.chunks())
    own.obey(REQUEST.to_data())
    with operation("acting"):
        pass
    (first,) = own.chunks()
    with operation("acting"):
        pass
    own.obey(None)
    (last,) = own.chunks()
    assert [len(each.rows) for each in (first, last)] == [1, 1]
    assert (first.number, last.number, last.begin) == (0, 1, first.end)
    assert ACTIVE.recorder is None and not own.active


def test_a_run_that_never_says_it_is_over_does_not_profile_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    own = OwnProfile("actor/0")
    own.obey(REQUEST.to_data())
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    list(own.chunks())
    assert ACTIVE.recorder is None


def test_only_the_first_processes_of_a_large_role_take_part() -> None:
    own = OwnProfile("actor/4000")
    own.obey(REQUEST.to_data())
    assert not own.active and ACTIVE.recorder is None


@pytest.mark.parametrize("said", [None, 3, {"name": "../x", "seconds": 1.0}, {"name": "p", "seconds": 1e9}], ids=str)
def test_a_request_that_is_none_is_ignored(said: object) -> None:
    assert ProfileRequest.parse(said) is None


@pytest.mark.parametrize("same", [True, False])
def test_processes_of_one_machine_have_one_clock_however_late_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    keeps, member = Profiling(OwnProfile("learner/0"), 1, str(tmp_path)), Profiling(OwnProfile("actor/0"), 1)
    keeps.turn()
    assert keeps.keeper is not None
    keeps.keeper._request, keeps.keeper._until = ProfileRequest("p", 10.0), time.monotonic() + 10
    monkeypatch.setattr("surreal.protocol.profiling.taking.perf_counter_ns", lambda: 900)
    said = keeps.say({"asked": 100})
    assert said["profile"] and said["clock"]
    del said["profile"]
    member.heard(said if same else {**said, "clock": "of another machine"})
    assert member.own.clock.best == (Offset(0, 0) if same else Offset(400, 400))


def test_the_process_that_keeps_profiles_looks_for_them_at_its_first_turn_and_has_the_clock_of_the_run(
    tmp_path: Path,
) -> None:
    ProfileRequest("p", 60.0, intercept=False).write(tmp_path)
    (tmp_path / "profile" / "p").mkdir()
    keeps = Profiling(OwnProfile("learner/0"), 1, str(tmp_path))
    assert keeps.say({}) == {} and list(keeps.drain()) == []
    keeps.turn()
    assert keeps.say({})["profile"]["name"] == "p"
    assert list(keeps.drain()) == [], "its own chunks go to its own files"
    assert keeps.own.active and keeps.own.clock.best == Offset(0, 0)
    keeps.close()
    assert (tmp_path / "profile" / "p" / "done.json").exists()
    list(keeps.drain())
    assert list(keeps.drain()) == [] and not keeps.own.active
