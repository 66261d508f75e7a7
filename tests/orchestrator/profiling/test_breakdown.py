"""Breakdown: known times are found again, and whatever was recorded adds up to the wall time."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surreal.orchestrator.profiling.breakdown import PROFILER, break_down, by_role
from surreal.orchestrator.profiling.sweep import OUTSIDE, UNRECORDED, sweep
from surreal.orchestrator.profiling.timelines import Calls, Interval, Piece, Timeline, assemble
from surreal.protocol.profiling.own import OwnProfile
from surreal.protocol.profiling.request import ProfileRequest
from surreal.protocol.profiling.spans import COMMUNICATION, IDLE, NUMERIC, SIMULATOR, operation

MS = 1_000_000


def timeline(*intervals: Interval, end: int = 1000, **more: object) -> Timeline:
    """A timeline of process actor/0 from 0 to `end`."""
    values: dict[str, object] = {"gaps": [], "cpu": 0, "delayed": 0, "clock_error": 0, "costs": {}, **more}
    return Timeline("actor/0", 1, 0, end, list(intervals), **values)  # type: ignore[arg-type]


def span(start: int, end: int, name: str, resource: str = "python", lane: int = 0, *pieces: Piece) -> Interval:
    """One interval."""
    return Interval(start, end, name, resource, lane, pieces)


def test_the_innermost_operation_has_the_time() -> None:
    found = break_down(
        timeline(
            span(100, 900, "learn"),
            span(200, 400, "forward", NUMERIC),
            span(400, 500, "backward", NUMERIC),
            span(450, 470, "wait", IDLE),
        )
    )
    assert {key: round(spent * 1e9) for key, spent in found.seconds.items()} == {
        ("learn", "python"): 500,
        ("forward", NUMERIC): 200,
        ("backward", NUMERIC): 80,
        ("wait", IDLE): 20,
        OUTSIDE: 200,
    }


def test_pieces_are_taken_out_of_their_span() -> None:
    pieces = Piece("simulation", SIMULATOR, 300, 64), Piece("inference", NUMERIC, 100, 64)
    found = break_down(timeline(span(0, 1000, "acting", "python", 0, *pieces), span(0, 500, "wait", IDLE)))
    assert found.seconds["simulation", SIMULATOR] == pytest.approx(300e-9)
    assert found.seconds["acting", "python"] == pytest.approx(100e-9)
    assert found.counts["simulation", SIMULATOR] == 64


def test_a_gpu_beside_is_counted_by_the_operation_that_it_ran_beside() -> None:
    found = break_down(timeline(span(0, 600, "backward", NUMERIC), span(400, 900, "kernel", "gpu", 1)))
    assert found.beside == {("backward", "gpu"): pytest.approx(200e-9), ("outside", "gpu"): pytest.approx(300e-9)}
    assert sum(found.seconds.values()) == pytest.approx(found.wall)


def test_dropped_spans_leave_a_gap_that_is_said() -> None:
    found = break_down(timeline(span(0, 300, "learn"), gaps=[(300, 800)]))
    assert found.seconds[UNRECORDED] == pytest.approx(500e-9)
    assert found.seconds[OUTSIDE] == pytest.approx(200e-9)


def test_the_profilers_cost_is_taken_out_where_it_occurred() -> None:
    costs = {
        **{
            "span": 100.0,
            "span_inside": 30.0,
            "timed": 10.0,
            "timed_inside": 4.0,
            "folded": 20.0,
            "folded_inside": 5.0,
        },
        **{"told": 7.0, "intercepted": 5.0},
    }
    notes = Piece("draw", NUMERIC, 100, 2, "folded"), Piece("rest", "python", 50, 1000, "told")
    found = break_down(
        timeline(
            span(0, 5000, "learn"),
            span(1000, 2000, "forward", NUMERIC, 0, Piece("step", SIMULATOR, 500, 10), *notes),
            end=10_000,
            costs=costs,
            calls={("learn", "python"): Calls(400, 100, 20, 40)},
        )
    )
    # learn: 4000 - its own 30 - 70 of forward - 200 of interception; the step: 500 - 40; the draws: 100 - 10
    assert round(found.seconds["learn", "python"] * 1e9) == 3700
    # forward: 350 - its own 30 - 60 of steps - 30 of draws - the note
    assert round(found.seconds["forward", NUMERIC] * 1e9) == 223
    assert round(found.seconds["step", SIMULATOR] * 1e9) == 460
    assert round(found.seconds["draw", NUMERIC] * 1e9) == 90
    assert round(found.seconds["rest", "python"] * 1e9) == 50
    assert round(found.seconds[PROFILER] * 1e9) == 300 + 127 + 40 + 10 + 70
    assert found.corrected == pytest.approx(found.wall - 547e-9)


TIMES = st.integers(-50, 1100)
RESOURCES = st.sampled_from(["python", NUMERIC, IDLE, COMMUNICATION])
INTERVALS = st.builds(
    lambda a, b, name, resource, lane, inside: Interval(
        min(a, b), max(a, b), name, resource, lane, (Piece("p", SIMULATOR, inside, 3),) if inside else ()
    ),
    TIMES,
    TIMES,
    st.sampled_from("abc"),
    RESOURCES,
    st.integers(0, 1),
    st.integers(0, 400),
)


@given(
    st.lists(INTERVALS, max_size=30),
    st.lists(st.tuples(TIMES, TIMES), max_size=3),
    st.floats(0, 50),
    st.floats(0, 20),
)
def test_categories_always_sum_to_the_wall_time(
    intervals: list[Interval], gaps: list[tuple[int, int]], cost: float, piece: float
) -> None:
    costs = {"span": 2 * cost, "span_inside": cost, "timed": 2 * piece, "timed_inside": piece}
    recorded = timeline(*intervals, gaps=[(min(gap), max(gap)) for gap in gaps if max(gap) <= 1000], costs=costs)
    swept = sweep(recorded)
    assert sum(swept.own) + swept.outside + swept.unrecorded == recorded.wall
    found = break_down(recorded)
    assert sum(found.seconds.values()) == pytest.approx(found.wall, rel=1e-6)
    assert all(spent >= 0 for spent in found.seconds.values())


@given(st.lists(INTERVALS, min_size=1, max_size=20))
def test_an_operation_never_has_more_than_its_own_length(intervals: list[Interval]) -> None:
    swept = sweep(timeline(*intervals))
    assert all(own <= each.end - each.start for own, each in zip(swept.own, intervals, strict=True))


def test_a_role_is_the_mean_of_its_processes() -> None:
    one = break_down(timeline(span(0, 500, "a")))
    other = replace(break_down(timeline(span(0, 1000, "a"))), name="actor/1")
    role = by_role([one, other])["actor"]
    assert role.processes == 2 and role.seconds["a", "python"] == pytest.approx(750e-9)
    assert sum(role.seconds.values()) == pytest.approx(role.wall)


class Clock:
    """A clock that only the test moves."""

    now = 10**9

    def __call__(self) -> int:
        return self.now

    def pass_ms(self, milliseconds: float) -> None:
        """Let time go by."""
        self.now += round(milliseconds * MS)


def test_a_program_of_known_times_is_broken_down_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, own = Clock(), OwnProfile("actor/0")
    for module in ("spans", "own"):
        monkeypatch.setattr(f"surreal.protocol.profiling.{module}.perf_counter_ns", clock)
    monkeypatch.setattr("surreal.protocol.profiling.costs.measure", dict)
    own.obey(ProfileRequest("p", 60.0, intercept=False).to_data())
    chunks = list(own.chunks())
    for _ in range(4):
        with operation("learn", NUMERIC):
            clock.pass_ms(5)
            with operation("wait", IDLE):
                clock.pass_ms(20)
            clock.pass_ms(25)
        with operation("acting") as acting:
            step = acting.pieces("simulation", SIMULATOR, clock.pass_ms)
            for _ in range(10):
                step(2)
            clock.pass_ms(1)
        with operation("send", COMMUNICATION):
            clock.pass_ms(10)
        clock.pass_ms(3)
        chunks += own.chunks()
    own.obey(None)
    found = break_down(assemble("actor/0", 1, [*chunks, *own.chunks()]))
    assert {name: round(spent * 1000) for (name, _), spent in found.seconds.items()} == {
        **{"learn": 4 * 30, "wait": 4 * 20, "simulation": 4 * 20, "acting": 4, "send": 4 * 10, "outside": 4 * 3}
    }


def spin(seconds: float) -> float:
    """Compute until the thread has used so much CPU; return the wall seconds that took."""
    began, until = time.perf_counter(), time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return time.perf_counter() - began


@pytest.mark.slow
def test_known_sleeps_and_spins_are_found_within_five_percent() -> None:
    own = OwnProfile("actor/0")
    own.obey(ProfileRequest("p", 60.0, intercept=False).to_data())
    truth = {"wait": 0.0, "simulation": 0.0, "learn": 0.0, "send": 0.0}
    chunks = list(own.chunks())
    for _ in range(4):
        with operation("learn", NUMERIC):
            began = time.perf_counter()
            with operation("wait", IDLE):
                slept = time.perf_counter()
                time.sleep(0.02)
                truth["wait"] += time.perf_counter() - slept
            truth["learn"] -= time.perf_counter() - began
            truth["learn"] += time.perf_counter() - began + spin(0.03)
        with operation("acting") as acting:
            steps = acting.pieces("simulation", SIMULATOR, spin)
            truth["simulation"] += sum(steps(0.002) for _ in range(10))
        with operation("send", COMMUNICATION):
            truth["send"] += spin(0.01)
        chunks += own.chunks()
    own.obey(None)
    found = break_down(assemble("actor/0", 1, [*chunks, *own.chunks()]))
    names: dict[str, float] = {}
    for (name, _), spent in found.seconds.items():
        names[name] = names.get(name, 0.0) + spent
    assert {name: names[name] for name in truth} == pytest.approx(truth, rel=0.05)
    assert sum(found.seconds.values()) == pytest.approx(found.wall, rel=0.01)
    assert found.cpu == pytest.approx(4 * 0.06, rel=0.3)


def test_a_sample_that_was_all_watching_tells_no_calls() -> None:
    watched = {("learn", "python"): Calls(401, 100, 20, 40), ("rest", "python"): Calls(800, 100, 20, 40)}
    found = break_down(timeline(span(0, 1000, "learn"), costs={"intercepted": 10.0}, calls=watched))
    assert list(found.crossings) == [("rest", "python")]
