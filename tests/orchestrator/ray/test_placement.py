"""What hosts ask of Ray, by the plan's roles, and the pools that a cluster offers."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.backends.ray import placement
from surreal.orchestrator.backends.ray.actors.network import Network, Place, listening
from surreal.orchestrator.backends.ray.backend import RayBackend
from surreal.orchestrator.backends.ray.connection.pools import pools
from surreal.orchestrator.backends.ray.storage import resolved
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan, PlannedRole, Resources
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.wiring import CONTROL
from surreal.protocol.errors import InvalidInput
from surreal.protocol.machine import files_name
from tests.orchestrator.documents import minimal
from tests.orchestrator.runs import plan as toy

GIB = 2**30


def role(**changes: Any) -> PlannedRole:
    """An actor of one CPU."""
    plain = toy().role("actor").model_copy(update={"resources": Resources(cpu=1, memory=GIB)})
    return plain.model_copy(update=changes)


def node(number: int, cpu: float = 4, gpus: int = 0, memory: int = 16 * GIB, **labels: str) -> dict[str, Any]:
    """One node as Ray describes it."""
    resources = {"CPU": cpu, "memory": float(memory), "node:10.0.0.1": 1.0, "object_store_memory": 1e9}
    if gpus:
        resources |= {"GPU": float(gpus), "accelerator_type:A100": 1.0}
    named = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
    return {"NodeID": f"n{number}", "Alive": True, "Resources": resources, "Labels": {"ray.io/node-id": "x", **named}}


def labelled(number: int, group: str, **more: Any) -> dict[str, Any]:
    """One node of a group, as KubeRay labels it."""
    made = node(number, **more)
    made["Labels"]["ray.io/node-group"] = group
    return made


def test_a_process_asks_for_what_its_role_has() -> None:
    asked = placement.host_options(role(), (), ())
    assert (asked["num_cpus"], asked["memory"], asked["max_restarts"]) == (1, GIB, 0)
    assert "label_selector" not in asked and "num_gpus" not in asked
    gpus = Resources(cpu=2, memory=GIB, gpu=2, gpu_kind="nvidia-a100")
    asked = placement.host_options(role(resources=gpus), ("A100", "H100"), ())
    assert asked["num_gpus"] == 2 and asked["resources"] == {"accelerator_type:A100": placement.A_LITTLE}
    assert placement.bundle(role(resources=gpus)) == {"CPU": 2, "memory": GIB, "GPU": 2}


def test_pools_are_labels_and_later_ones_are_fallbacks() -> None:
    chosen = role(selectors=({"ray.io/node-group": "spot"}, {"ray.io/node-group": ("big", "small")}))
    asked = placement.host_options(chosen, (), ())
    assert asked["label_selector"] == {"ray.io/node-group": "spot"}
    assert asked["fallback_strategy"] == [{"label_selector": {"ray.io/node-group": "in(big,small)"}}]


def test_nodes_that_are_gone_get_nothing() -> None:
    asked = placement.host_options(role(selectors=({"ray.io/node-group": "a"},)), (), ("n1", "n2"))
    assert asked["label_selector"] == {"ray.io/node-group": "a", "ray.io/node-id": "!in(n1,n2)"}


def test_only_a_role_of_several_that_the_run_needs_starts_together() -> None:
    plan = toy()
    assert not any(placement.starts_together(plan, each) for each in plan.roles)
    many = plan.role("learner").model_copy(update={"replicas": 2})
    assert placement.starts_together(plan, many)
    assert placement.strategy(many) == "PACK"
    assert placement.strategy(many.model_copy(update={"spread": "node"})) == "SPREAD"


def test_addresses_come_from_where_the_processes_landed() -> None:
    plan = toy()
    network = Network(plan)
    assert listening(plan, "learner") == ("experience", "metrics", CONTROL) and listening(plan, "actor") == ()
    assert not network.complete
    ports = {"experience": 11, "metrics": 12, CONTROL: 13}
    network.places["learner", 0] = Place("10.0.0.1", "n1", ports)
    assert network.complete
    wiring = network.wiring(plan.role("actor"), 1, 7, "/runs/toy")
    assert (wiring.name, wiring.incarnation, wiring.serves_control) == ("actor/1", 7, False)
    assert wiring.control == "tcp://10.0.0.1:13" and wiring.channels["experience"].addresses == ("tcp://10.0.0.1:11",)
    before = network.heard_by(plan.role("actor"))
    network.places["learner", 0] = Place("fd00::2", "n2", ports)
    assert network.control() == "tcp://[fd00::2]:13"
    assert network.heard_by(plan.role("actor")) != before


def test_processes_that_share_a_machine_talk_through_its_files_until_one_lands_elsewhere() -> None:
    plan = toy()
    ports = {"experience": 11, "metrics": 12, CONTROL: 13}
    learner = Place("10.0.0.1", "n1", ports, machine="a", sockets="/tmp/x")
    network = Network(plan, local=True)
    network.land("learner", 0, learner)
    network.land("actor", 0, Place("10.0.0.1", "n2", machine="a"))
    assert network.control() == "ipc:///tmp/x/.control"
    assert network.wiring(plan.role("actor"), 0, 1, "/").channels["experience"].addresses == (
        "ipc:///tmp/x/experience",
    )
    before = network.heard_by(plan.role("learner"))
    network.land("actor", 1, Place("10.0.0.1", "n3", machine="b"))
    assert network.control() == "tcp://10.0.0.1:13" and network.heard_by(plan.role("learner")) != before
    network.land("actor", 1, Place("10.0.0.1", "n3", machine="a"))
    assert network.control() == "tcp://10.0.0.1:13", "it would cost all another restart"
    for known in (Network(plan), Network(plan, local=True)):
        known.land("learner", 0, Place("10.0.0.1", "n1", ports, machine="a" if not known.local else ""))
        assert known.control() == "tcp://10.0.0.1:13"


def test_a_machine_is_the_same_for_all_processes_that_see_its_files() -> None:
    words = "from surreal.protocol.machine import files_name; print(files_name())"
    other = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.strip()
    assert other == files_name()
    assert bool(other) == Path("/proc/self/ns/mnt").exists()


def test_nodes_of_a_group_are_a_pool_that_may_grow() -> None:
    nodes = [node(0, cpu=0), labelled(1, "spot"), labelled(2, "spot"), labelled(3, "gpu", gpus=2)]
    spot, gpu = pools(nodes, {"n1": {"CPU": 1.0, "memory": 2.0 * GIB}, "n2": {"CPU": 4.0, "memory": 16.0 * GIB}})
    assert (spot.name, spot.nodes, spot.cpu, spot.max_nodes) == ("spot", 2, 4, None)
    assert spot.selector == {"ray.io/node-group": "spot"}
    assert sorted((room.nodes, room.cpu) for room in spot.rooms) == [(1, 1.0), (1, 4.0)]
    assert (gpu.name, gpu.gpus, gpu.gpu_type) == ("gpu", 2, "A100")


def test_nodes_without_groups_are_pools_of_equal_ones_that_do_not_grow() -> None:
    found = pools([node(1), node(2), node(3, cpu=8), node(4, gpus=1)], {})
    assert [(each.name, each.nodes, each.max_nodes) for each in found] == [
        ("cpu", 2, 2),
        ("cpu-2", 1, 1),
        ("a100", 1, 1),
    ]
    assert all(not each.selector for each in found)


def planned(nodes: list[dict[str, Any]], **spec: Any) -> Plan:
    """The plan of a small experiment on these nodes."""
    data = minimal()
    data["spec"] |= spec
    return resolved(make_plan(Experiment.from_data(data), pools(nodes, {})))


def test_a_plan_is_refused_where_the_cluster_at_its_largest_has_no_room() -> None:
    roles = {"actor": {"replicas": 40, "resources": {"cpu": 1, "memory": "64Mi"}}}
    with pytest.raises(InvalidInput, match=r"actor.*must be \d+ or less, not 40"):
        planned([node(1), node(2)], roles=roles)
    grows = planned([labelled(1, "workers"), labelled(2, "workers")], roles=roles)
    assert any(pool.full > pool.now for pool in grows.pools)


def test_more_than_any_node_has_is_refused_at_its_line() -> None:
    with pytest.raises(InvalidInput, match="must be 4 or less, which is what a machine of pool 'cpu' has, not 5"):
        planned([node(1), node(2)], roles={"learner": {"resources": {"cpu": 5}}})


def test_the_plan_says_what_a_dead_node_costs() -> None:
    assert "else from step 0" in planned([node(1)]).storage.note
    url = planned([node(1)], storage={"kind": "url", "url": "s3://bucket/runs"})
    assert url.storage.note.startswith("s3://bucket/runs, copied there every 15 s")


def test_a_range_of_replicas_is_said_not_to_be_followed() -> None:
    roles = {"actor": {"replicas": {"min": 1, "max": 3}, "resources": {"cpu": 1, "memory": "64Mi"}}}
    found = planned([node(1, cpu=8)], roles=roles)
    assert any("spec.roles.actor.replicas: a range is not followed on Ray" in each for each in found.warnings)
    with pytest.raises(InvalidInput, match="--auto: on Ray pole keeps its processes"):
        RayBackend(Location.of("ray:x")).autoscale("pole", print)
