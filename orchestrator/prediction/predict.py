"""Prediction for a plan: speed with its range, bounding role, staleness, memory, hours and cost; other sizes of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import Calibration, Found, Machine, find, key_of
from surreal.orchestrator.prediction.queueing import Load, Speed, speed
from surreal.protocol.errors import InvalidInput, SurrealError

ELSEWHERE = 2.0
"""Factor by which the speed of another machine may differ from this one's."""
MOST_ACTORS = 4096


@dataclass(frozen=True)
class Prediction:
    """The prediction for one plan; None where nothing was measured that it could come from."""

    speed: Speed | None
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
            "range": None if found is None else [round(found.low, 1), round(found.high, 1)],
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
    calibration, factor, source = _chosen(found, plan, gpus)
    if calibration is None:
        return Prediction(None, source, {}, replicas, notes=found.notes)
    computed = speed(flow, _load(plan, flow, calibration))
    if factor > 1:
        computed = Speed(**{**vars(computed), "low": computed.low / factor, "high": computed.high * factor})
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
        found.notes,
    )


def beside_truth(plan: Plan, measured: float | None) -> str:
    """Return in words how far the measured steps per second of a run are from the prediction; "" without either."""
    found = predict(plan).speed
    if found is None or not measured:
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


def _chosen(found: Found, plan: Plan, gpus: int | None) -> tuple[Calibration | None, float, str]:
    """Return the calibration to use, by how much its machine may be off, and a sentence on it."""
    candidates = [each for each in (found.own, *found.others) if each and (not gpus or each.machine.gpu)]
    if not candidates:
        with_gpu = " with a GPU" if gpus else ""
        return None, 1.0, f"no prediction: nothing was measured{with_gpu}. Run surreal calibrate FILE first."
    chosen = candidates[0]
    if chosen is found.own and not plan.pools:
        return chosen, 1.0, f"from the calibration of this machine of {chosen.at[:10]}"
    where = "this machine, not of the pools" if chosen is found.own else f"another machine ({chosen.machine.words})"
    return chosen, ELSEWHERE, f"from a calibration of {where}: the range says so. Calibrate there for a better one."


def _load(plan: Plan, flow: Flow, calibration: Calibration) -> Load:
    actor, learner = plan.role(flow.actor), plan.role(flow.learner)
    own_machine = not plan.pools
    return Load(
        calibration.services[flow.actor],
        calibration.services[flow.learner],
        actor.replicas,
        learner.replicas,
        Machine.here().cores if own_machine else math.inf,
        calibration.steady if own_machine else 0.0,
        calibration.per_step if own_machine else 0.0,
    )


def resized(plan: Plan, sizes: Mapping[str, int]) -> Plan:
    """Return the plan with other numbers of processes. Raises InvalidInput for a role that it does not have."""
    known = {role.name for role in plan.roles}
    for role in sizes:
        if role not in known:
            raise InvalidInput(
                f"--what-if: {role!r} is no role of {plan.name}. Take one of {', '.join(sorted(known))}."
            )
    roles = [role.model_copy(update={"replicas": sizes.get(role.name, role.replicas)}) for role in plan.roles]
    return plan.model_copy(update={"roles": tuple(roles)})


def parse_what_if(text: str) -> tuple[dict[str, int], int | None]:
    """Return the sizes of `actor=64,gpu=1`, and the GPUs; None where they were not said. Raises InvalidInput."""
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if not name or not number.isdecimal() or not number.isascii() or (name != "gpu" and not int(number)):
            raise InvalidInput(f"--what-if: {part!r} is no size. Write for example actor=64,gpu=1.")
        sizes[name] = int(number)
    gpus = sizes.pop("gpu", None)
    return sizes, gpus


def propose(plan: Plan, target: float, found: Found | None = None) -> Prediction:
    """Return the prediction with the fewest actors that reach `target` steps per second.

    Raises SurrealError where no number of them does, with what bounds it, and where nothing was measured.
    """
    return _smallest(plan, lambda found: found.speed is not None and found.speed.steps >= target, target, found)


def _smallest(plan: Plan, reached: Callable[[Prediction], bool], target: float, found: Found | None) -> Prediction:
    flow = flow_of(plan)
    found = found or find(key_of(plan.algorithm, plan.env, plan.config))
    best: Prediction | None = None
    number = 1
    while flow is not None and number <= MOST_ACTORS:
        made = predict(resized(plan, {flow.actor: number}), found=found)
        if made.speed is None:
            raise SurrealError(f"--target: {made.source}")
        if reached(made):
            return made
        before, best = best, made
        if before is not None and before.speed is not None and made.speed.steps < 1.001 * before.speed.steps:
            break
        number = max(number + 1, math.floor(number * 1.1))
    if best is None or best.speed is None:
        raise SurrealError(f"--target: {plan.algorithm} has no prediction. Measure it: surreal calibrate FILE.")
    actors = best.replicas[flow.actor] if flow else 0
    raise SurrealError(
        f"--target: {target:,.0f} steps/s are out of reach: {actors} of {flow.actor if flow else 'actor'} make "
        f"{best.speed.steps:,.0f}, bounded by {best.speed.bound}. Make that faster first."
    )
