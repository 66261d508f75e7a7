"""Which pools roles get on a cluster, how many machines that takes, and why not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan, PlannedToleration
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.labels import Taint, node_taints, selector
from surreal.provisioner.pools.model import NodePool, Room
from tests.orchestrator.documents import VALID, load_text, minimal

GIB = 2**30


def pool(name: str, cpu: float = 8, memory: int = 32, **more: Any) -> NodePool:
    """A pool on GKE of up to ten machines, none there."""
    spot, gpus = more.get("spot", False), more.get("gpus", 0)
    fields: dict[str, Any] = {
        "nodes": 0,
        "max_nodes": 10,
        "provider": "gke",
        "selector": selector("gke", name, spot),
        "taints": node_taints("gke", name, spot, gpus > 0),
    }
    return NodePool(name=name, cpu=cpu, memory=memory * GIB, **{**fields, **more})


CPU = pool("cpu", price=0.4)
SPOT = pool("spot", price=0.1, spot=True)
GPU = pool("gpu", cpu=16, memory=64, gpus=2, price=2.0)


def plan(*pools: NodePool, **roles: dict[str, Any]) -> Plan:
    return make_plan(Experiment.from_data(minimal(roles=roles)), pools)


def where(planned: Plan) -> dict[str, tuple[str, ...]]:
    return {role.name: (role.pool, *role.fallback) for role in planned.roles}


def refused(*pools: NodePool, **roles: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        plan(*pools, **roles)
    return str(caught.value)


def test_what_can_be_lost_goes_to_spot_machines_and_falls_back_and_the_rest_does_not() -> None:
    assert where(plan(CPU, SPOT)) == {"learner": ("cpu",), "actor": ("spot", "cpu"), "evaluator": ("spot", "cpu")}


def test_the_file_may_want_it_the_other_way_round() -> None:
    planned = plan(CPU, SPOT, actor={"spot": False}, learner={"spot": True})
    assert where(planned) == {"learner": ("spot", "cpu"), "actor": ("cpu",), "evaluator": ("spot", "cpu")}
    assert planned.role("learner").spot and not planned.role("actor").spot


def test_a_learner_with_spot_machines_only_is_warned_of_and_one_that_refuses_them_is_refused() -> None:
    assert "learner runs on spot machines (spot), which can be taken back" in plan(SPOT).warnings[0]
    said = refused(SPOT, learner={"spot": False})
    assert "spec.roles.learner.spot: only spot pools hold learner (spot); write true, or add a pool without" in said


def test_spot_that_is_asked_for_and_not_there_is_said() -> None:
    assert plan(CPU, actor={"spot": True}).warnings == ("actor asks for spot machines; no spot pool holds it",)


def test_a_role_on_spot_machines_selects_and_endures_both_pools() -> None:
    actor = plan(CPU, SPOT).role("actor")
    assert actor.selectors == (selector("gke", "spot", spot=True), selector("gke", "cpu"))
    assert actor.tolerations == (PlannedToleration(key="cloud.google.com/gke-spot", value="true", effect="NoSchedule"),)


def test_gpu_machines_are_for_those_who_ask_for_gpus() -> None:
    planned = plan(GPU, CPU, learner={"resources": {"gpu": 1}})
    assert where(planned) == {"learner": ("gpu",), "actor": ("cpu",), "evaluator": ("cpu",)}
    assert planned.role("learner").tolerations == (PlannedToleration(key="nvidia.com/gpu"),)


def test_without_any_other_machine_gpu_machines_take_all_and_it_is_said() -> None:
    planned = plan(GPU)
    assert where(planned)["actor"] == ("gpu",)
    assert any("actor asks for no GPU and runs on pool 'gpu', which has some" in text for text in planned.warnings)
    assert (
        PlannedToleration(key="nvidia.com/gpu", value="present", effect="NoSchedule")
        in planned.role("actor").tolerations
    )


def test_the_cheapest_per_process_is_first_and_an_unknown_price_last() -> None:
    dear, unknown = pool("dear", cpu=8, price=0.5), pool("unknown", cpu=8)
    large = pool("large", cpu=32, memory=128, price=1.2)
    # 0.4 $/h hold 8 actors, 1.2 $/h hold 32
    assert where(plan(unknown, dear, CPU, large))["actor"] == ("large", "cpu")


def test_what_the_first_pool_cannot_hold_goes_to_the_next() -> None:
    planned = plan(replace(SPOT, max_nodes=2), CPU, actor={"replicas": 20, "resources": {"cpu": 1}})
    pools = {each.name: each for each in planned.pools}
    assert (pools["spot"].processes["actor"], pools["spot"].full) == (16, 2)
    assert pools["cpu"].processes["actor"] == 4


def test_machines_that_are_there_are_used_as_far_as_others_leave_room() -> None:
    there = replace(
        CPU, nodes=3, rooms=(Room(1, 2.0, 32 * GIB, 0, 90), Room(1, 8.0, 32 * GIB, 0, 90), Room(1, 0.0, 0, 0, 0))
    )
    (used,) = plan(there, actor={"replicas": 16, "resources": {"cpu": 1}}).pools
    # 17.5 CPUs are asked for, 10 are free
    assert (used.there, used.now, used.full) == (3, 2, 3)


def test_more_than_the_pools_at_their_largest_hold_is_refused_with_how_many_they_hold() -> None:
    said = refused(CPU, actor={"replicas": 100, "resources": {"cpu": 1}})
    # 80 cores; a learner takes one and an evaluator half of another
    assert said.startswith(
        "document:1: spec.roles.actor.replicas: must be 78 or less, not 100: pool 'cpu' (10 machines)"
    )
    assert plan(CPU, actor={"replicas": 78, "resources": {"cpu": 1}}).pools[0].full == 10


def test_more_than_others_leave_room_for_waits_and_is_said() -> None:
    busy = replace(CPU, nodes=10, rooms=(Room(10, 1.0, GIB, 0, 10),))
    planned = plan(busy, actor={"replicas": 30, "resources": {"cpu": 1}})
    assert "20 processes of actor wait until others leave room on pool 'cpu'" in planned.warnings


def test_a_pool_whose_bounds_nobody_knows_may_have_to_grow_and_it_is_said() -> None:
    planned = plan(replace(CPU, nodes=1, max_nodes=None), actor={"replicas": 30, "resources": {"cpu": 1}})
    assert planned.warnings == (
        "pool 'cpu' needs 3 machines more than are free; whether its autoscaler may add them is not known here: "
        "name the cluster's file with --pools",
    )


def test_a_process_that_no_machine_holds_is_refused_with_what_the_nearest_lacks(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, VALID, "spec.roles.actor.resources.cpu=40")
    with pytest.raises(InvalidInput) as caught:
        make_plan(experiment, [CPU, GPU])
    assert str(caught.value) == (
        "--set spec.roles.actor.resources.cpu: must be 16 or less, which is what a machine of pool 'gpu', the nearest "
        "of all, has, not 40"
    )


def test_a_pool_that_is_kept_for_others_is_named_where_it_alone_would_do() -> None:
    kept = replace(pool("big", cpu=64, memory=256), taints=(Taint("team", "vision"),))
    said = refused(CPU, kept, learner={"resources": {"cpu": 40}})
    assert "pool 'big' holds it and is tainted team=vision:NoSchedule: name it with `pool` to use it" in said
    planned = plan(CPU, kept, learner={"resources": {"cpu": 40}, "pool": "big"})
    assert planned.role("learner").tolerations == (PlannedToleration(key="team", value="vision", effect="NoSchedule"),)


def test_where_all_pools_are_kept_for_others_one_must_be_named() -> None:
    kept = replace(CPU, taints=(Taint("team", "vision"),))
    assert "spec.roles.actor.pool: must name a pool: all are kept for others: cpu (tainted team=vision:" in refused(
        kept
    )


def test_a_mixed_pool_is_named_as_a_whole_or_by_its_kinds() -> None:
    small = replace(pool("mixed/m7i.large", cpu=2, memory=8), price=0.1)
    spot = replace(pool("mixed/m7i.large-spot", cpu=2, memory=8, spot=True), price=0.05)
    assert where(plan(small, spot, CPU, actor={"pool": "mixed"}))["actor"] == (
        "mixed/m7i.large-spot",
        "mixed/m7i.large",
    )
    assert where(plan(small, spot, CPU, actor={"pool": "mixed/m7i.large"}))["actor"] == ("mixed/m7i.large",)
    assert "unknown pool 'mixt'" in refused(small, spot, actor={"pool": "mixt"})


def test_equal_arguments_give_equal_plans() -> None:
    arguments = (CPU, SPOT, GPU)
    assert plan(*arguments, actor={"replicas": 50}) == plan(*arguments, actor={"replicas": 50})
