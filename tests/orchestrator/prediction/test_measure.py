"""Measuring a calibration: rates from whole fragments, and times without what a process only waited for."""

from dataclasses import replace
from pathlib import Path

import pytest

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction import calibration as files
from surreal.orchestrator.prediction.calibration import Found
from surreal.orchestrator.prediction.measure import calibration_of, doubts
from surreal.orchestrator.prediction.predict import predict
from surreal.orchestrator.prediction.queueing import Service
from surreal.orchestrator.prediction.sizes import resized
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.profiling.timelines import Interval, Piece, Timeline
from surreal.protocol.errors import SurrealError
from surreal.provisioner.pools.model import NodePool

ROOT = Path(__file__).parents[3]
MS = 1_000_000


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores."""
    monkeypatch.setattr(files, "_here", lambda: files.Machine("Test CPU", 64.0, "3.11"))


@pytest.fixture
def plan() -> Plan:
    """A plan of one actor of PPO, in turns with the learner."""
    changes = ("spec.roles.actor.replicas=1", "spec.algorithm.config.max_staleness=0", "spec.env.copies=4")
    return make_plan(load_experiment(ROOT / "examples/cheetah-ppo.yaml", changes), (NodePool("local", 1, 64.0, 2**38),))


def span(start: int, end: int, name: str, resource: str = "python", steps: int = 0) -> Interval:
    """An interval in milliseconds."""
    pieces = (Piece("simulation", "simulator", 10 * MS, steps),) if steps else ()
    return Interval(start * MS, end * MS, name, resource, 0, pieces)


def timeline(process: str, *intervals: Interval, cpu: int, delayed: int = 0) -> Timeline:
    """A timeline of one second."""
    return Timeline(process, 1, 0, 1000 * MS, list(intervals), [], cpu * MS, delayed * MS, 0, {})


def turns(delayed: int = 0) -> Profile:
    """An actor and a learner in turns of 100 ms: 60 acting 25 x 4 steps, 40 learning; the first fragment is cut."""
    acting, learning = list[Interval](), list[Interval]()
    for begin in range(0, 1000, 100):
        if begin:
            acting.append(span(begin, begin + 60, "acting", steps=25))
        else:
            acting.append(span(begin, begin + 60, "acting", steps=7))
        acting.append(span(begin + 60, begin + 100, "wait", "idle"))
        learning += [span(begin, begin + 60, "wait", "idle"), span(begin + 60, begin + 100, "learn")]
    actor = timeline("actor/0", *acting, cpu=600 - delayed, delayed=delayed)
    return Profile.of("x", [actor, timeline("learner/0", *learning, cpu=400)])


def test_a_calibration_has_each_roles_own_time_for_a_step(plan: Plan) -> None:
    found = calibration_of(plan, turns())
    assert found.measured == pytest.approx(1000)
    assert found.services["actor"].seconds == pytest.approx(600e-6)
    assert found.services["learner"].seconds == pytest.approx(400e-6)
    said = predict(plan, found=Found(found, (), ())).speed
    assert said is not None and said.steps == pytest.approx(1000, rel=0.01)
    more = predict(resized(plan, {"actor": 3}), found=Found(found, (), ())).speed
    assert more is not None and more.steps == pytest.approx(1 / (200e-6 + 400e-6), rel=0.01)


def test_time_without_a_core_is_not_a_roles_own(plan: Plan) -> None:
    assert calibration_of(plan, turns(delayed=300)).services["actor"].seconds == pytest.approx(300e-6)


def test_times_of_a_busy_machine_are_doubted(plan: Plan) -> None:
    found = calibration_of(plan, turns())
    assert not list(doubts(found))
    slow = replace(found, services={**found.services, "learner": Service(302e-6, 31e-6)})
    (said,) = doubts(slow)
    assert said.startswith("warning: learner worked 302 us for a step and had a core for 31 us of them: other work")


def test_a_profile_without_fragments_makes_no_calibration(plan: Plan) -> None:
    empty = Profile.of("x", [timeline("actor/0", span(0, 1000, "wait", "idle"), cpu=0)])
    with pytest.raises(SurrealError, match="no two fragments were seen"):
        calibration_of(plan, empty)
