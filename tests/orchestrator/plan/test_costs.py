"""What a plan costs: the price table's own arithmetic, and unknown where a price is."""

import math
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.cost import parse_limit, refuse_above, with_speed
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_file import declared_pools
from tests.orchestrator.documents import minimal
from tests.provisioner.clusters import cluster

POOLS = [
    {"name": "system", "machine": "e2-standard-4", "max": 3},
    {"name": "actors", "machine": "n2-standard-8", "max": 40, "spot": True},
    {"name": "learners", "machine": "g2-standard-12", "max": 4},
]


def plan(actors: int = 100, pools: list[dict[str, Any]] = POOLS, prices: Path | None = None) -> Plan:
    roles = {"actor": {"replicas": actors, "resources": {"cpu": 1}}, "learner": {"resources": {"gpu": 1}}}
    declared, _ = declared_pools(cluster(pools=pools), machine_table(prices))
    return make_plan(Experiment.from_data(minimal(roles=roles)), declared)


@pytest.mark.parametrize("actors", [1, 7, 8, 100, 250])
def test_the_cost_is_machines_times_price_to_the_cent(actors: int) -> None:
    planned = plan(actors)
    # 7.41 cores of n2-standard-8 hold seven actors; the evaluator finds room beside a last, unfull seven
    machines = math.ceil(actors / 7) + (actors % 7 == 0)
    per_hour = machines * 0.094 + 1 * 1.06
    assert planned.cost is not None and planned.cost.per_hour is not None and planned.cost.per_day is not None
    assert round(planned.cost.per_hour, 2) == round(per_hour, 2)
    assert round(planned.cost.per_day, 2) == round(24 * per_hour, 2)


def test_a_measured_speed_gives_the_cost_of_a_million_steps() -> None:
    planned = with_speed(plan(), 10_000)
    assert planned.cost is not None and planned.cost.per_hour is not None
    # a million steps take 100 s
    assert planned.cost.per_million_steps == pytest.approx(planned.cost.per_hour * 100 / 3600, abs=1e-6)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(InvalidInput, match="must be environment steps per second. Give more than 0"):
        with_speed(plan(), speed)


def test_one_unknown_price_makes_the_cost_unknown_and_never_smaller(tmp_path: Path) -> None:
    unknown = [*POOLS[:2], {"name": "learners", "machine": "a3-highgpu-1g", "max": 4}]
    planned = plan(pools=unknown)
    assert planned.cost is not None
    assert (planned.cost.per_hour, planned.cost.per_day, planned.cost.unknown) == (None, None, ("learners",))
    assert with_speed(planned, 1000) == planned
    with pytest.raises(InvalidInput, match="pool learners has no known price"):
        refuse_above(planned, "1000/h")
    prices = tmp_path / "prices.yaml"
    prices.write_text(
        "sources: {ours: {date: 2026-11-01, region: us-central1, what: a contract}}\n"
        "machines: {gke: {a3-highgpu-1g: {price: 9.5, source: ours}}}\n"
    )
    known = plan(pools=unknown, prices=prices)
    assert known.cost is not None and known.cost.per_hour == pytest.approx(15 * 0.094 + 9.5)


def test_a_plan_above_the_limit_is_refused_with_where_the_money_goes() -> None:
    refuse_above(plan(), "2.48/h")
    with pytest.raises(InvalidInput) as caught:
        refuse_above(plan(), "2.46/h")
    assert str(caught.value) == (
        "--max-cost 2.46/h: cart costs 2.47 $/h at full scale, most of it pool 'actors': 15 machines, 1.41 $/h. "
        "Ask for fewer replicas, or raise the limit."
    )


@pytest.mark.parametrize(("text", "per_hour"), [("20/h", 20.0), ("$480/day", 20.0), ("0.5/hour", 0.5)])
def test_a_limit_is_dollars_by_time(text: str, per_hour: float) -> None:
    assert parse_limit(text) == per_hour


@pytest.mark.parametrize("text", ["20", "20/week", "/h", "-1/h", "0/h", "nan/h", "inf/h", "x/h", ""])
def test_a_limit_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="must be dollars by hour or day. For example: 20/h or 480/day"):
        parse_limit(text)


def test_spot_machines_without_a_price_cost_at_most_what_they_cost_on_demand() -> None:
    pools = [
        {"name": "system", "machine": "m7i.xlarge", "min": 1, "max": 3},
        {"name": "actors", "machine": "c7i.2xlarge", "max": 40, "spot": True},
    ]
    found, _ = declared_pools(cluster("eks", pools=pools), machine_table())
    planned = make_plan(Experiment.from_data(minimal()), found)
    assert planned.cost is not None and planned.cost.per_hour is None
    machines = {pool.name: pool.full for pool in planned.pools}
    bound = machines["system"] * 0.2016 + machines["actors"] * 0.357
    assert planned.cost.at_most_per_hour == pytest.approx(bound)
    refuse_above(planned, f"{bound + 0.01:.2f}/h")
    with pytest.raises(InvalidInput, match="costs, with spot machines at their price on demand, up to"):
        refuse_above(planned, f"{bound / 2:.3f}/h")
    assert {"control plane", "NAT", "disks"} <= set(planned.cost.not_included)
