"""Queueing model of a graph of actors and a learner: steps per second from the time that each takes for a step.

docs/profile.md derives it. Pure functions, without files.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Literal

from surreal.algorithms.algorithm import Flow

MODEL_ERROR = 0.1
"""Relative error of the model itself: an assumption until runs are compared (docs/profile.md says which were)."""
LEFT = 0.15
"""Share of the wait for the slowest actor that is left where actors are an update ahead: each makes up for a slow
fragment with the next. Found by simulating the graph (tests/orchestrator/prediction/test_queueing.py)."""
Bound = Literal["actor", "learner", "cores", "both"]


@dataclass(frozen=True)
class Service:
    """Time of one process of a role, measured where it did not wait for another."""

    seconds: float
    """For each environment step of its own: of an actor's for an actor, of all for a learner."""
    cpu: float
    """Seconds of a core in that time."""
    spread: float = 0.0
    """Standard deviation of a fragment's or an update's time, relative to its mean."""
    memory: int = 0
    """Bytes that are resident; 0 is unknown."""


@dataclass(frozen=True)
class Load:
    """Processes of the two roles that the speed depends on, and the cores that all share."""

    actor: Service
    learner: Service
    actors: int
    learners: int = 1
    cores: float = math.inf
    """Cores that all processes share; infinite where each has its own."""
    steady: float = 0.0
    """Cores that others of the run use all the time, such as an evaluator."""
    per_step: float = 0.0
    """Core seconds of others for each environment step, such as replay."""


@dataclass(frozen=True)
class Speed:
    """Steps per second, and what bounds them."""

    steps: float
    low: float
    high: float
    bound: Bound
    staleness: float
    """Updates that the weights of a fragment are behind when it is learned from."""
    busy: Mapping[str, float] = field(default_factory=dict)
    """Share of its time that a process of each of the two roles works: `actor`, `learner`."""


def speed(flow: Flow, load: Load) -> Speed:
    """Return the speed of a graph under a load of at least one actor."""
    actor, learner = load.actor.seconds, load.learner.seconds / load.learners
    collect, learn = actor / load.actors, learner
    slowest = _slowest(load.actors, load.actor.spread if flow.fragment else 0.0)
    collect *= 1 + slowest * (1.0 if flow.lockstep else LEFT)
    free = max(load.cores - load.steady, 0.1 * load.cores)
    if flow.lockstep:
        # In turns: the actors share the cores while they collect, and the learner has one while it learns.
        collect *= max(1.0, load.actors * _share(load.actor) / free)
        learn *= max(1.0, 1.0 / max(free, 1e-9)) if free < 1 else 1.0
        seconds, bound = collect + learn, _longer(collect, learn)
    else:
        seconds, bound = _together(flow, load, collect, learn), _longer(collect, learn)
        demand = load.actor.cpu + load.learner.cpu + load.per_step
        if demand / free > seconds:
            seconds, bound = demand / free, "cores"
    steps = 1 / seconds
    error = math.hypot(MODEL_ERROR, load.actor.spread / math.sqrt(10), load.learner.spread / math.sqrt(10))
    return Speed(
        steps,
        steps / (1 + error),
        steps * (1 + error),
        bound,
        _staleness(flow, load, seconds),
        {"actor": min(1.0, actor / load.actors / seconds), "learner": min(1.0, learner / seconds)},
    )


def _share(service: Service) -> float:
    """Return the share of its time for which a process needs a core: an environment may sleep."""
    return min(1.0, service.cpu / service.seconds) if service.seconds else 1.0


def _slowest(number: int, spread: float) -> float:
    """Return by how much the slowest of `number` actors is slower than the mean one, for normal times (Blom 1958)."""
    return spread * NormalDist().inv_cdf((number - 0.375) / (number + 0.25)) if number > 1 else 0.0


def _longer(collect: float, learn: float) -> Bound:
    if max(collect, learn) < 1.15 * min(collect, learn):
        return "both"
    return "actor" if collect > learn else "learner"


def _together(flow: Flow, load: Load, collect: float, learn: float) -> float:
    """Return seconds for each step where both go on at once: the mean of the larger of two normal times (Clark 1961).

    Without fluctuation, and where a queue evens it out, it is the larger mean.
    """
    theta = math.hypot(collect * load.actor.spread, learn * load.learner.spread) if flow.fragment else 0.0
    if not theta:
        return max(collect, learn)
    d = (collect - learn) / theta
    density = math.exp(-d * d / 2) / math.sqrt(2 * math.pi)
    return collect * _normal(d) + learn * _normal(-d) + theta * density


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _staleness(flow: Flow, load: Load, seconds: float) -> float:
    """Return the updates between acting and learning: none in turns; else what is made while a fragment is collected.

    Little's law: each of the actors has a fragment under way, and one may wait.
    """
    if flow.lockstep:
        return 0.0
    if flow.fragment:
        return 1.0
    return load.actors * max(1.0, load.actor.seconds / load.actors / seconds) if seconds else 0.0
