"""Queueing model: limits that are known exactly, and a simulation of the graph that knows no formula."""

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.prediction.queueing import Load, Service, speed

LOCKSTEP, TOGETHER, QUEUE = (
    Flow("actor", "learner", 0, 100),
    Flow("actor", "learner", 1, 100),
    Flow("actor", "learner", None),
)


def load(actor: float, learner: float, actors: int = 1, **more: float) -> Load:
    """Times of a step in seconds; by default every process has a core of its own."""
    spread = more.pop("spread", 0.0)
    return Load(Service(actor, actor, spread), Service(learner, learner, spread), actors, **more)  # type: ignore[arg-type]


def test_in_turns_the_times_add_up() -> None:
    found = speed(LOCKSTEP, load(0.03, 0.01, actors=3))
    assert found.steps == pytest.approx(1 / 0.02) and found.staleness == 0
    assert found.busy == {"actor": pytest.approx(0.5), "learner": pytest.approx(0.5)} and found.bound == "both"


def test_together_the_slower_one_bounds() -> None:
    assert speed(QUEUE, load(0.04, 0.01, actors=2)).steps == pytest.approx(50)
    learner = speed(QUEUE, load(0.04, 0.01, actors=16))
    assert learner.bound == "learner"
    assert learner.steps == pytest.approx(100) and learner.busy["actor"] == 0.25
    assert speed(QUEUE, load(0.04, 0.01, actors=2)).bound == "actor"


def test_cores_bound_what_shares_them() -> None:
    found = speed(QUEUE, load(0.01, 0.01, actors=8, cores=2, steady=0.5, per_step=0.01))
    assert found.bound == "cores" and found.steps == pytest.approx(1.5 / 0.03, rel=0.03)
    turns = speed(LOCKSTEP, load(0.03, 0.01, actors=4, cores=2))
    assert turns.steps == pytest.approx(1 / (0.03 / 2 + 0.01))


def test_an_environment_that_sleeps_needs_no_core() -> None:
    sleeper = Load(Service(1.0, 0.01), Service(0.001, 0.001), 50, cores=2)
    assert speed(QUEUE, sleeper).steps == pytest.approx(50, rel=0.02)


@settings(max_examples=20)
@given(
    st.floats(1e-6, 1.0), st.floats(1e-6, 1.0), st.integers(1, 20), st.floats(0, 0.5), st.sampled_from([1, 2, 8, 1e9])
)
def test_no_role_is_ever_more_than_busy_and_more_cores_never_hurt(
    actor: float, learner: float, actors: int, spread: float, cores: float
) -> None:
    for flow in (LOCKSTEP, TOGETHER, QUEUE):
        found = speed(flow, load(actor, learner, actors, cores=cores, spread=spread))
        assert found.low < found.steps < found.high
        assert found.steps <= 1.001 * min(actors / actor, 1 / learner)
        assert all(0 <= share <= 1 for share in found.busy.values())
        assert speed(flow, load(actor, learner, actors, cores=2 * cores, spread=spread)).steps >= 0.999 * found.steps


def simulated(actor: float, learner: float, actors: int, spread: float, ahead: int, updates: int = 1500) -> float:
    """Steps per second of actors that may be `ahead` updates, by events; fragments are of 100 steps."""
    draw, free = random.Random(1), [0.0] * actors
    published = [0.0]
    learning = 0.0
    for update in range(updates):
        ends = []
        for index in range(actors):
            needed = published[max(0, update - ahead)]
            ends.append(max(free[index], needed) + 100 * actor * max(0.0, draw.gauss(1, spread)))
            free[index] = ends[-1]
        learning = max(max(ends), learning) + 100 * actors * learner * max(0.0, draw.gauss(1, spread))
        published.append(learning)
    return updates * actors * 100 / learning


@pytest.mark.parametrize("actors", [1, 4, 16])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_a_simulation_of_the_graph_agrees_within_three_percent(actors: int, ratio: float, spread: float) -> None:
    actor, learner = 0.001 * actors * ratio, 0.001
    for flow, ahead in ((LOCKSTEP, 0), (TOGETHER, 1), (TOGETHER._replace(ahead=4), 4)):
        truth = simulated(actor, learner, actors, spread, ahead)
        assert speed(flow, load(actor, learner, actors, spread=spread)).steps == pytest.approx(truth, rel=0.03)


def test_the_simulation_itself_is_right_where_the_answer_is_plain() -> None:
    assert simulated(0.01, 0.01, 1, 0.0, 0) == pytest.approx(50)
    assert simulated(0.01, 0.01, 1, 0.0, 1) == pytest.approx(100, rel=0.01)


def scheduled(actor: float, learner: float, actors: int, cores: int, updates: int = 120) -> float:
    """Steps per second of actors that are an update ahead at most, on cores that take turns of 1 ms from one queue."""
    steps, turn = 100, 1e-3
    made, published, queue = [0] * actors, 0, deque[int]()
    left = dict.fromkeys(range(actors), steps * actor)
    queue.extend(left)
    ticks = 0
    while published < updates:
        ticks += 1
        for process in [queue.popleft() for _ in range(min(cores, len(queue)))]:
            left[process] -= turn
            if left[process] > 1e-9:
                queue.append(process)
            elif process < actors:
                made[process] += 1
                del left[process]
            else:
                published += 1
                del left[process]
        if actors not in left and min(made) > published:
            left[actors] = steps * actors * learner
            queue.append(actors)
        for index in range(actors):
            if index not in left and made[index] <= published + 1:
                left[index] = steps * actor
                queue.append(index)
    return updates * actors * steps / (ticks * turn)


@pytest.mark.parametrize("actors", [1, 2, 4, 8])
@pytest.mark.parametrize("ratio", [0.3, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("cores", [2, 4])
def test_a_scheduler_of_shared_cores_agrees_within_two_percent(actors: int, ratio: float, cores: int) -> None:
    # `ratio` is the work of all actors for a step beside the learner's
    truth = scheduled(ratio * 1e-3, 1e-3, actors, cores)
    assert speed(TOGETHER, load(ratio * 1e-3, 1e-3, actors, cores=cores)).steps == pytest.approx(truth, rel=0.02)
