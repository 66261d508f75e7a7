"""Plans: a pure function of experiment and pools, pinned by golden files."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.labels import node_taints, selector
from surreal.provisioner.pools.model import NodePool
from tests.orchestrator.documents import VALID, load_text, minimal, spoiled

GOLDEN = Path(__file__).parent / "golden"
LAPTOP = NodePool(name="local", nodes=1, cpu=8, memory=16 * 2**30)
SMALL = NodePool(name="cpu", nodes=4, cpu=2, memory=4 * 2**30, provider="gke", selector=selector("gke", "cpu"))
LARGE = NodePool(
    name="gpu",
    nodes=1,
    cpu=16,
    memory=64 * 2**30,
    gpus=2,
    gpu_type="L4",
    provider="gke",
    selector=selector("gke", "gpu"),
    taints=node_taints("gke", "gpu", gpu=True),
)
SPOT = NodePool(
    name="spot",
    nodes=1,
    cpu=7.4,
    memory=28 * 2**30,
    provider="gke",
    machine="n2-standard-8",
    min_nodes=0,
    max_nodes=8,
    spot=True,
    price=0.094,
    priced="gce-list of 2026-06-23 for us-central1",
    selector=selector("gke", "spot", spot=True),
    taints=node_taints("gke", "spot", spot=True),
)
STEADY = replace(
    SPOT, name="steady", spot=False, price=0.3885, selector=selector("gke", "steady"), taints=(), max_nodes=4
)

PLANS: dict[str, tuple[dict[str, Any], list[NodePool]]] = {
    "laptop": (minimal(), [LAPTOP]),
    "oversubscribed": (
        minimal(roles={"actor": {"replicas": 16, "resources": {"memory": "2Gi"}, "pool": "cpu", "spot": True}}),
        [LAPTOP],
    ),
    "pools": (
        minimal(roles={"actor": {"replicas": 6, "pool": "cpu"}, "learner": {"resources": {"gpu": 1, "cpu": "1500m"}}}),
        [SMALL, LARGE],
    ),
    "learners": (
        minimal(roles={"actor": {"replicas": 5}, "learner": {"replicas": 2, "resources": {"gpu": 1}}}),
        [LARGE],
    ),
    "relays": (
        minimal(
            channels={"weights": {"relays": 3, "dtype": "bfloat16"}},
            roles={"weights-relay": {"pool": "cpu", "resources": {"cpu": 1}}},
        ),
        [SMALL, LARGE],
    ),
    "cluster": (
        minimal(roles={"actor": {"replicas": 64, "resources": {"cpu": 1}}, "learner": {"resources": {"gpu": 1}}}),
        [SPOT, STEADY, LARGE],
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_the_one_on_file(name: str) -> None:
    """After a wanted change: SURREAL_WRITE_GOLDEN=1 pytest tests/orchestrator/test_plan.py, and read the diff."""
    data, pools = PLANS[name]
    text = strictyaml.dump(make_plan(Experiment.from_data(data), pools).to_data())
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("SURREAL_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_survives_json(name: str) -> None:
    data, pools = PLANS[name]
    plan = make_plan(Experiment.from_data(data), pools)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_role_is_found_by_its_name() -> None:
    plan = make_plan(Experiment.from_data(minimal()), [LAPTOP])
    assert plan.role("actor").replicas == 2
    with pytest.raises(KeyError):
        plan.role("replay")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("cpu: 9", "cpu: must be 8 or less, which is what a machine of pool 'local' has, not 9"),
        ("memory: 17Gi", "memory: must be 16.0Gi or less, which is what a machine of pool 'local' has, not 17Gi"),
        ("gpu: 1", "gpu: must be 0 or less, which is what a machine of pool 'local' has, not 1"),
    ],
)
def test_a_process_larger_than_any_machine_is_refused_at_its_line(tmp_path: Path, asked: str, said: str) -> None:
    experiment = load_text(tmp_path, spoiled("{cpu: 1, memory: 1Gi}", f"{{{asked}}}"))
    with pytest.raises(InvalidInput) as caught:
        make_plan(experiment, [LAPTOP])
    assert str(caught.value) == f"{tmp_path}/experiment.yaml:15: spec.roles.actor.resources.{said}"


def test_a_process_that_an_override_made_too_large_is_refused_as_such(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, VALID, "spec.roles.learner.resources.cpu=99")
    with pytest.raises(InvalidInput, match="^--set spec.roles.learner.resources.cpu: must be 8 or less"):
        make_plan(experiment, [LAPTOP])


def test_an_unknown_pool_is_refused_where_there_are_pools(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, spoiled("replicas: 2", "pool: gpus"))
    with pytest.raises(InvalidInput, match=r":14: spec.roles.actor.pool: unknown pool 'gpus' \(did you mean 'gpu'\?\)"):
        make_plan(experiment, [SMALL, LARGE])


def test_a_role_without_a_pool_goes_to_the_first_that_holds_it() -> None:
    roles = {"actor": {"resources": {"cpu": 4}}}
    plan = make_plan(Experiment.from_data(minimal(roles=roles)), [SMALL, LARGE])
    assert {role.name: role.pool for role in plan.roles} == {"learner": "cpu", "actor": "gpu", "evaluator": "cpu"}


def test_more_than_the_machine_has_is_a_warning_only() -> None:
    plan = make_plan(Experiment.from_data(minimal(roles={"actor": {"replicas": 100}})), [LAPTOP])
    assert len(plan.warnings) == 2
    assert all(len(f"warning: {each}") <= 80 for each in plan.warnings), "they fit a terminal of 80 columns"
    assert "101.5 CPUs, pool 'local' has 8: they share cores" in plan.warnings[0]
    assert "103.0Gi memory, pool 'local' has 16.0Gi" in plan.warnings[1]
