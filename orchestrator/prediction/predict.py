"""Prediction for a plan: speed with its range, bounding role, staleness, memory, hours and cost."""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import (
    MANY,
    Calibration,
    Found,
    Machine,
    find,
    key_of,
    share_of_many,
)
from surreal.orchestrator.prediction.queueing import Load, Speed, speed

BEYOND = 0.1
"""Furthest that the measured share of larger runs is beyond that of the runs of a calibration."""

EXCHANGE = "several learners exchange gradients, which a calibration does not measure: the speed is the most they reach"


@dataclass(frozen=True)
class Prediction:
    """The prediction for one plan; None where nothing was measured that it could come from."""

    speed: Speed | None
    """Speed of the run; where `elsewhere`, if its machines are as fast as the one that was measured."""
    source: str
    """Sentence on what it comes from, or why there is none."""
    memory: Mapping[str, int]
    """Role -> bytes of one of its processes."""
    replicas: Mapping[str, int]
    hours: float | None = None
    """Hours to total_steps."""
    cost: float | None = None
    """Dollars until then; None where the price is unknown, or the machines are one's own."""
    notes: tuple[str, ...] = ()
    elsewhere: bool = False
    """It was measured on another machine than those of the plan: there is no range."""

    @property
    def bounding_role(self) -> str | None:
        """The role, or `cores`, that bounds the speed; None where nothing is known."""
        return self.speed.bound if self.speed else None

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        found = self.speed
        return {
            "source": self.source,
            "steps_per_second": None if found is None else round(found.steps, 1),
            "range": None if found is None or self.elsewhere else [round(found.low, 1), round(found.high, 1)],
            "measured_elsewhere": self.elsewhere,
            "bounded_by": self.bounding_role,
            "busy_shares": {} if found is None else {role: round(share, 3) for role, share in found.busy.items()},
            "staleness": None if found is None else round(found.staleness, 2),
            "memory_bytes": dict(self.memory),
            "replicas": dict(self.replicas),
            "hours": None if self.hours is None else round(self.hours, 4),
            "cost_dollars": None if self.cost is None else round(self.cost, 4),
            "notes": list(self.notes),
        }


def predict(plan: Plan, gpus: int | None = None, found: Found | None = None) -> Prediction:
    """Return the prediction for a plan from the calibrations that there are.

    `gpus` asks for a calibration whose machine has a GPU. A plan that nothing was measured for gets no number.
    """
    flow, replicas = flow_of(plan), {role.name: role.replicas for role in plan.roles}
    if flow is None:
        return Prediction(None, f"no prediction: {plan.algorithm} does not say how its roles wait", {}, replicas)
    found = found or find(key_of(plan.algorithm, plan.env, plan.config))
    calibration, source = _chosen(found, plan, gpus, {flow.actor, flow.learner})
    if calibration is None:
        return Prediction(None, source, {}, replicas, notes=found.notes)
    actors, learners = replicas[flow.actor], replicas[flow.learner]
    computed = speed(flow, _load(flow, calibration, actors, learners, math.inf if plan.pools else Machine.here().cores))
    if not plan.pools:
        computed = computed.times(_measured_share(flow, calibration, actors))
    total = plan.config.get("total_steps")
    hours = total / computed.steps / 3600 if isinstance(total, int) else None
    per_hour = plan.cost.per_hour if plan.cost else None
    return Prediction(
        computed,
        source,
        {role: times.memory for role, times in calibration.services.items() if times.memory},
        replicas,
        hours,
        None if per_hour is None or hours is None else per_hour * hours,
        (*found.notes, *([EXCHANGE] if learners > 1 else ())),
        calibration is not found.own or bool(plan.pools),
    )


def beside_truth(plan: Plan, measured: float | None) -> str:
    """Return in words how far the measured steps per second of a run are from the prediction; "" without either."""
    predicted = predict(plan)
    found = predicted.speed
    if found is None or predicted.elsewhere or not measured:
        return ""
    off = measured / found.steps - 1
    inside = "" if found.low <= measured <= found.high else ", outside its range: surreal profile says why"
    return f"{found.steps:,.0f} steps/s, measured {off:+.0%}{inside}"


def flow_of(plan: Plan) -> Flow | None:
    """Return how the roles of a plan wait for each other; None where its algorithm does not say."""
    from surreal.algorithms.registry import BUILT_IN

    described = BUILT_IN.get(plan.algorithm)
    if described is None or described.flow is None:
        return None
    return described.flow(described.config.model_validate(plan.config), plan.env)


def _chosen(found: Found, plan: Plan, gpus: int | None, roles: Set[str]) -> tuple[Calibration | None, str]:
    """Return the calibration to use, which has times of these roles, and a sentence on it."""
    candidates = [
        each
        for each in (found.own, *found.others)
        if each and (not gpus or each.machine.gpu) and roles <= each.services.keys()
    ]
    if not candidates:
        with_gpu = " with a GPU" if gpus else ""
        return None, f"no prediction: nothing was measured{with_gpu}. Run surreal calibrate FILE first."
    chosen = candidates[0]
    here = chosen is found.own
    if here and not plan.pools:
        if chosen.shipped:
            return chosen, f"from a calibration that came with surreal, of a machine like this ({chosen.at[:10]})"
        return chosen, f"from the calibration of this machine of {chosen.at[:10]}"
    like = "a machine like this" if chosen.shipped else "this machine"
    where = like if here else f"another machine, {chosen.machine.words}"
    if chosen.shipped:
        where += f" (a calibration that came with surreal, {chosen.at[:10]})"
    wanted = "the pools" if plan.pools else "this machine"
    return chosen, (
        f"measured on {where}, and true where {wanted} {'are' if plan.pools else 'is'} as fast. "
        "Run surreal calibrate FILE there to know."
    )


def _measured_share(flow: Flow, calibration: Calibration, actors: int) -> float:
    """Return what share of the computed speed such a run reaches, by the runs of the calibration.

    The model leaves out what sharing cores costs beside their time, such as a learner that replay keeps from its core.
    """

    began = flow._replace(ahead=calibration.ahead)

    def share(size: int, measured: float) -> float:
        load = _load(flow, calibration, size, 1, calibration.machine.cores)
        return measured / speed(began, load).steps if measured else 1.0

    one = share(1, calibration.measured)
    many = share(MANY, calibration.measured_many) if calibration.more else one
    least, most = sorted((one, many))
    along = one + share_of_many(actors) * (many - one)
    return min(max(along, least - BEYOND), most + BEYOND)


def _load(flow: Flow, calibration: Calibration, actors: int, learners: int, cores: float) -> Load:
    shared = not math.isinf(cores)
    return Load(
        calibration.service(flow.actor, actors),
        calibration.service(flow.learner, actors),
        actors,
        learners,
        cores,
        calibration.steady if shared else 0.0,
        calibration.per_step if shared else 0.0,
    )
