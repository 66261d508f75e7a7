"""Cost of a plan by the prices of its machines. An unknown price makes the sum unknown, never smaller."""

from collections.abc import Sequence

from surreal.orchestrator.plan.model import Plan, PlannedCost, PlannedPool
from surreal.protocol.errors import InvalidInput

HOURS = {"h": 1.0, "hour": 1.0, "day": 24.0, "d": 24.0}
"""Unit of time -> its hours."""


NOT_INCLUDED = ("control plane", "NAT", "disks", "traffic")
"""Things that clouds bill besides machines."""


def planned_cost(pools: Sequence[PlannedPool]) -> PlannedCost:
    """Return the cost of all machines of `pools` at full scale.

    A machine counts whole, also where others use it too. Where the price of spot machines is unknown, the sum is, and
    their price on demand gives an upper bound.
    """
    unknown = tuple(pool.name for pool in pools if pool.full and pool.price is None)
    if unknown:
        bounds = [pool.full * bound for pool in pools if (bound := _at_most(pool)) is not None]
        at_most = _cents(sum(bounds)) if len(bounds) == len(pools) else None
        return PlannedCost(
            per_hour=None, per_day=None, unknown=unknown, at_most_per_hour=at_most, not_included=NOT_INCLUDED
        )
    per_hour = sum(pool.full * (pool.price or 0.0) for pool in pools)
    return PlannedCost(per_hour=_cents(per_hour), per_day=_cents(24 * per_hour), not_included=NOT_INCLUDED)


def _at_most(pool: PlannedPool) -> float | None:
    """Return what one machine costs at most; None if nothing is known."""
    return pool.price_bound if pool.price is None else pool.price


def with_speed(plan: Plan, steps_per_second: float) -> Plan:
    """Return `plan` with its cost per million environment steps at a measured speed. Raises InvalidInput below 0."""
    if not steps_per_second > 0:
        raise InvalidInput(f"--speed {steps_per_second:g}: must be environment steps per second. Give more than 0.")
    if plan.cost is None or plan.cost.per_hour is None:
        return plan
    hours = 1e6 / steps_per_second / 3600
    cost = plan.cost.model_copy(update={"per_million_steps": round(plan.cost.per_hour * hours, 6)})
    return plan.model_copy(update={"cost": cost})


def refuse_above(plan: Plan, limit: str) -> None:
    """Raise InvalidInput if `plan` may cost more than `limit` (`20/h`, `480/day`), or its cost is unknown."""
    per_hour = parse_limit(limit)
    known = None if plan.cost is None else plan.cost.per_hour
    at_most = plan.cost.at_most_per_hour if plan.cost and known is None else known
    if at_most is None:
        names = ", ".join(plan.cost.unknown if plan.cost else sorted({role.pool for role in plan.roles}))
        raise InvalidInput(
            f"--max-cost {limit}: pool {names} has no known price. "
            "Add it to prices.yaml (docs/pools.md) or remove --max-cost."
        )
    if at_most > per_hour:
        largest = max(plan.pools, key=lambda pool: pool.full * (_at_most(pool) or 0.0))
        dollars = largest.full * (_at_most(largest) or 0.0)
        costs = "costs" if known is not None else "costs, with spot machines at their price on demand, up to"
        raise InvalidInput(
            f"--max-cost {limit}: {plan.name} {costs} {at_most:.2f} $/h at full scale, "
            f"most of it pool {largest.name!r}: {largest.full} machines, {dollars:.2f} $/h. "
            "Ask for fewer replicas, or raise the limit."
        )


def parse_limit(text: str) -> float:
    """Return the dollars an hour of `20/h` or `480/day`. Raises InvalidInput for another form."""
    amount, _, unit = text.removeprefix("$").partition("/")
    try:
        value = float(amount)
    except ValueError:
        value = -1.0
    if unit not in HOURS or not 0 < value < float("inf"):
        raise InvalidInput(f"--max-cost {text}: must be dollars by hour or day. For example: 20/h or 480/day.")
    return value / HOURS[unit]


def _cents(dollars: float) -> float:
    """Return dollars without the error of adding binary fractions; a price has up to six decimals."""
    return round(dollars, 6)
