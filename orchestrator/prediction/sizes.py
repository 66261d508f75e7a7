"""Other sizes of a plan, and which of them reaches a target of speed or of cost."""

import math
from collections.abc import Callable, Iterator, Mapping

from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import Found, find, key_of
from surreal.orchestrator.prediction.predict import Prediction, flow_of, predict
from surreal.protocol.errors import InvalidInput

MOST_ACTORS = 4096
MOST_PROCESSES = 10_000
"""Processes of a role that a file may ask for."""
Replan = Callable[[Mapping[str, int]], Plan]
"""Function of role -> replicas, which returns the plan on its machines and with its cost."""


def resized(plan: Plan, sizes: Mapping[str, int]) -> Plan:
    """Return the plan with other numbers of processes, so of unknown cost. Raises InvalidInput for an unknown role."""
    known = {role.name for role in plan.roles}
    for role in sizes:
        if role not in known:
            raise InvalidInput(
                f"--what-if: {role!r} is no role of {plan.name}. Take one of {', '.join(sorted(known))}."
            )
    roles = [role.model_copy(update={"replicas": sizes.get(role.name, role.replicas)}) for role in plan.roles]
    return plan.model_copy(update={"roles": tuple(roles), "cost": None})


def parse_what_if(text: str) -> tuple[dict[str, int], int | None]:
    """Return the sizes of `actor=64,gpu=1`, and the GPUs; None where they were not said. Raises InvalidInput."""
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if not name or not number.isdecimal() or not number.isascii() or (name != "gpu" and not number.strip("0")):
            raise InvalidInput(f"--what-if: {part!r} is no size. Write for example actor=64,gpu=1.")
        if len(number) > len(str(MOST_PROCESSES)) or int(number) > MOST_PROCESSES:
            raise InvalidInput(f"--what-if: {part[:40]!r} is too large. Take up to {MOST_PROCESSES:,}.")
        if name in sizes:
            raise InvalidInput(f"--what-if: {name!r} is said twice. Say it once.")
        sizes[name] = int(number)
    gpus = sizes.pop("gpu", None)
    return sizes, gpus


def propose(plan: Plan, target: float, found: Found | None = None) -> Prediction:
    """Return the prediction with the fewest actors that reach `target` steps per second.

    Raises InvalidInput where no number of them does, with what bounds it, and where nothing was measured.
    """
    best: Prediction | None = None
    for made in _growing(plan, lambda sizes: resized(plan, sizes), "--target", found):
        best = made if best is None or _steps(made) >= _steps(best) else best
        if _steps(made) >= target:
            return made
    if best is None or best.speed is None:
        raise InvalidInput(f"--target: {plan.algorithm} has no prediction. Measure it: surreal calibrate FILE.")
    flow = flow_of(plan)
    actors = f"{best.replicas[flow.actor]} of {flow.actor}" if flow else ""
    raise InvalidInput(
        f"--target: {target:,.0f} steps/s are out of reach: {actors} make {best.speed.steps:,.0f}, "
        f"bounded by {best.speed.bound}. Make that faster first."
    )


def propose_within(plan: Plan, dollars: float, replan: Replan, found: Found | None = None) -> Prediction:
    """Return the fastest prediction that costs up to `dollars` to the end of the run.

    Raises InvalidInput where every number of actors costs more, and where the cost is unknown.
    """
    made = list(_growing(plan, replan, "--target-cost", found))
    costs = [each.cost for each in made if each.cost is not None]
    if not costs:
        raise InvalidInput(
            "--target-cost: the cost is unknown, which needs the price of the machines and total_steps. "
            "Plan for machines with a price: --pools FILE (docs/pools.md)."
        )
    within = [each for each in made if each.cost is not None and each.cost <= dollars]
    if not within:
        raise InvalidInput(
            f"--target-cost: {dollars:g} $ are too few. The cheapest way costs {min(costs):,.2f} $: "
            "raise it, or lower total_steps."
        )
    return max(within, key=_steps)


def _growing(plan: Plan, replan: Replan, option: str, found: Found | None) -> Iterator[Prediction]:
    """Yield predictions with ever more actors, until those make the run no faster or have no room."""
    flow, before, number = flow_of(plan), 0.0, 1
    found = found or find(key_of(plan.algorithm, plan.env, plan.config))
    while flow is not None and number <= MOST_ACTORS:
        try:
            made = predict(replan({flow.actor: number}), found=found)
        except InvalidInput:
            # More than the pools hold: the first number of all is refused by the plan itself.
            return
        if made.speed is None:
            raise InvalidInput(f"{option}: {made.source}")
        yield made
        if made.speed.steps < 1.001 * before:
            return
        before, number = made.speed.steps, max(number + 1, math.floor(number * 1.1))


def _steps(made: Prediction) -> float:
    return made.speed.steps if made.speed else 0.0
