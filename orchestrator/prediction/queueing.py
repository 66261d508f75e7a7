"""Queueing model of a graph of actors and a learner: steps per second from the time that each takes for a step.

docs/profile.md derives it. Pure functions, without files.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.prediction.shared_cores import Work, fluctuations, update_seconds

MODEL_ERROR = 0.1
"""Relative error of the model itself: an assumption until runs are compared (docs/profile.md says which were)."""
UPDATES, FIRST = 500, 20
"""Updates over which the recurrence of a graph goes, and of these the first, in which it fills."""
ITERATIONS = 4
"""Rounds in which the demand of others for cores settles."""
CROWDED = 1.05
"""Factor by which a run is slower on shared cores from where these are said to bound it."""
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

    def times(self, share: float) -> "Speed":
        """Return the same at a share of the speed."""
        busy = {role: min(1.0, each * share) for role, each in self.busy.items()}
        steps, low, high = (each * share for each in (self.steps, self.low, self.high))
        return replace(self, steps=steps, low=low, high=high, busy=busy)


@lru_cache(maxsize=64)
def speed(flow: Flow, load: Load) -> Speed:
    """Return the speed of a graph under a load of at least one actor.

    A search for a size asks for those of the calibration again and again, and each is a simulation.
    """
    actor, learner = load.actor.seconds, load.learner.seconds / load.learners
    collect = actor / load.actors
    seconds, bound = _step_seconds(flow, load, collect, learner), _longer(collect, learner)
    if not math.isinf(load.cores):
        alone, seconds = seconds, max(seconds, _on_shared_cores(flow, load, seconds))
        if flow.ahead != 0 and seconds > CROWDED * alone:
            bound = "cores"
    steps = 1 / seconds
    error = math.hypot(MODEL_ERROR, load.actor.spread / math.sqrt(10), load.learner.spread / math.sqrt(10))
    return Speed(
        steps,
        steps / (1 + error),
        steps * (1 + error),
        bound,
        _staleness(flow, load, seconds),
        {"actor": min(1.0, collect / seconds), "learner": min(1.0, learner / seconds)},
    )


def _on_shared_cores(flow: Flow, load: Load, seconds: float) -> float:
    """Return the seconds of a step where all processes share the cores of one machine.

    `seconds` is without that. What others, such as replay, use for each step is found by iteration.
    """
    acting, learning = (
        Work(each.cpu / number, max(0.0, each.seconds - each.cpu) / number, each.spread)
        for each, number in ((load.actor, load.actors), (load.learner, load.learners))
    )
    least = 0.1 * load.cores
    for _ in range(ITERATIONS if load.per_step else 1):
        free = max(load.cores - load.steady - load.per_step / seconds, least)
        seconds = update_seconds(acting, learning, load.actors, flow.ahead, free)
    return seconds


def _longer(collect: float, learn: float) -> Bound:
    if max(collect, learn) < 1.15 * min(collect, learn):
        return "both"
    return "actor" if collect > learn else "learner"


def _step_seconds(flow: Flow, load: Load, collect: float, learn: float) -> float:
    """Return seconds for each step of the run, of which actors together need `collect` and the learner `learn`."""
    if flow.ahead is None:
        # A queue evens out what fluctuates.
        return max(collect, learn)
    if not flow.fragment:
        return collect + learn if flow.ahead == 0 else max(collect, learn)
    # In units of an update, in which every actor collects one fragment.
    seconds = _update_seconds(collect, learn, load, flow.ahead)
    return max(seconds, collect, learn, collect + learn if flow.ahead == 0 else 0.0)


def _update_seconds(collect: float, learn: float, load: Load, ahead: int) -> float:
    """Return the mean time between updates that take a fragment of every actor, which may be `ahead` of them.

    Actor i ends fragment k at A[i, k] = max(A[i, k-1], L[k-1-ahead]) + c, and the learner update k at
    L[k] = max(L[k-1], max_i A[i, k]) + l (a marked graph: Baccelli et al. 1992). The times c and l are gamma
    distributed draws, the same in each call.
    """
    import numpy as np

    draws = np.random.default_rng(0)
    learning = (learn * fluctuations(load.learner.spread, (UPDATES,), draws)).tolist()
    collecting = collect * fluctuations(load.actor.spread, (UPDATES, load.actors), draws)
    acted, learned, first = np.zeros(load.actors), deque([0.0] * (ahead + 1), maxlen=ahead + 1), 0.0
    for update in range(UPDATES):
        acted = np.maximum(acted, learned[0]) + collecting[update]
        learned.append(max(learned[-1], float(acted.max())) + learning[update])
        if update == FIRST - 1:
            first = learned[-1]
    return (learned[-1] - first) / (UPDATES - FIRST)


def _staleness(flow: Flow, load: Load, seconds: float) -> float:
    """Return the updates between acting and learning: none in turns; else what is made while a fragment is collected.

    Little's law: each of the actors has a fragment under way, and one may wait.
    """
    if flow.ahead is not None:
        return float(flow.ahead)
    return load.actors * max(1.0, load.actor.seconds / load.actors / seconds) if seconds else 0.0
