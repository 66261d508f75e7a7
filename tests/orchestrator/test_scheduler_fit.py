"""What the provisioner renders and what the orchestrator plans fit together, by the scheduler's own rules."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.cluster.load import cluster_from_data
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.pools.model import NodePool
from surreal.provisioner.spec.cluster import Cluster
from tests.orchestrator.documents import minimal
from tests.orchestrator.scheduler import Node, Pod, fits, nodes_of, pod_of

MACHINES = {
    "gke": ["e2-standard-2", "n2-standard-8", "c3-highcpu-22", "g2-standard-4", "a2-highgpu-2g", "t2d-standard-8"],
    "eks": ["m7i.large", "c7i.4xlarge", "m7a.2xlarge", "g6.2xlarge", "g5.12xlarge"],
}
OWN_TAINT = {"key": "team", "value": "vision", "effect": "NoSchedule"}

resources = st.fixed_dictionaries(
    {"cpu": st.sampled_from([0.25, 1, 1, 3, 12]), "memory": st.sampled_from(["256Mi", "1Gi", "2Gi", "40Gi"])},
    optional={"gpu": st.sampled_from([0, 0, 1, 2])},
)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    provider = draw(st.sampled_from(["gke", "eks"]))
    autoprovision = provider == "eks" and draw(st.booleans())
    pools = [
        {
            "name": f"pool-{index}",
            "machine": draw(st.sampled_from(MACHINES[provider])),
            "max": draw(st.integers(1, 30)),
            "spot": draw(st.booleans()),
            "taints": draw(st.sampled_from([[], [], [], [OWN_TAINT]])),
            "autoprovision": autoprovision,
        }
        for index in range(draw(st.integers(1, 4)))
    ]
    where = {"gke": {"project": "my-project", "region": "us-central1"}, "eks": {"region": "us-east-1"}}[provider]
    network = {"allowedCidrs": ["203.0.113.7/32"]}
    spec = {"provider": provider, "network": network, **where, "pools": pools}
    return cluster_from_data({"metadata": {"name": "lab"}, "spec": spec})


@st.composite
def role_specs(draw: st.DrawFn) -> dict[str, Any]:
    pool = st.sampled_from([None, None, None, "pool-0", "pool-1"])
    each = st.fixed_dictionaries({"resources": resources}, optional={"pool": pool, "spot": st.none() | st.booleans()})
    found: dict[str, Any] = {role: draw(each) for role in ("actor", "learner", "evaluator")}
    found["actor"]["replicas"] = draw(st.integers(1, 60))
    return found


def plan_for(cluster: Cluster, roles: dict[str, Any]) -> tuple[Plan | None, dict[str, NodePool]]:
    """The plan, or None where it is refused, and the pools."""
    pools, _ = declared_pools(cluster, machine_table())
    try:
        return make_plan(Experiment.from_data(minimal(roles=roles)), pools), {pool.name: pool for pool in pools}
    except InvalidInput:
        return None, {}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), role_specs())
def test_every_pod_fits_the_pools_it_is_meant_for_and_no_other(cluster: Cluster, roles: dict[str, Any]) -> None:
    plan, pools = plan_for(cluster, roles)
    if plan is None:
        return
    nodes = list(nodes_of(cluster))
    for role in plan.roles:
        meant = {role.pool, *role.fallback}
        assert {node.pool for node in nodes if fits(pod_of(role), node)} == meant
    for planned in plan.pools:
        _fits_at_full_scale(plan, planned.name, {node.pool: node for node in nodes}[planned.name], pools)
    assert sum(sum(planned.processes.values()) for planned in plan.pools) == sum(role.replicas for role in plan.roles)


def _fits_at_full_scale(plan: Plan, name: str, node: Node, pools: dict[str, NodePool]) -> None:
    """All that is planned for one pool together, on the machines it is planned to have."""
    planned = {pool.name: pool for pool in plan.pools}[name]
    assert planned.full <= (pools[name].max_nodes or 0)
    for kind in ("cpu", "memory", "nvidia.com/gpu"):
        asked = sum(count * pod_of(plan.role(role)).asks.get(kind, 0) for role, count in planned.processes.items())
        assert asked <= planned.full * node.free[kind]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_pods_of_strangers_stay_off_spot_gpu_and_tainted_machines(cluster: Cluster) -> None:
    stranger = Pod((), (), {"cpu": 0.1, "memory": 2.0**20})
    taken = {node.pool for node in nodes_of(cluster) if fits(stranger, node)}
    plain = {
        spec.name
        for spec in cluster.spec.pools
        if not spec.spot and not spec.taints and not str(spec.machine).startswith(("g", "a2"))
    }
    assert taken == plain


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters(), resources)
def test_what_is_refused_for_its_size_fits_no_pool_indeed(cluster: Cluster, asked: dict[str, Any]) -> None:
    pools, _ = declared_pools(cluster, machine_table())
    experiment = Experiment.from_data(minimal(roles={"learner": {"resources": {"gpu": 0, **asked}}}))
    try:
        make_plan(experiment, pools)
    except InvalidInput as error:
        if "spec.roles.learner.resources" not in str(error):
            return
        spec = experiment.spec.roles["learner"].resources
        asks = {"cpu": spec.cpu, "memory": float(spec.memory), "nvidia.com/gpu": float(spec.gpu)}
        plain = {pool.name for pool in pools if all(taint.key != "team" for taint in pool.taints)}
        for pool in (pool for pool in pools if pool.name in plain):
            has = {"cpu": pool.cpu, "memory": float(pool.memory), "nvidia.com/gpu": float(pool.gpus)}
            assert any(asks[kind] > has[kind] for kind in asks)


@pytest.mark.parametrize("provider", ["gke", "eks"])
def test_a_pool_with_the_users_own_taint_is_for_those_who_name_it(provider: str) -> None:
    pools = [
        {"name": "plain", "machine": MACHINES[provider][0], "max": 9},
        {"name": "theirs", "machine": MACHINES[provider][1], "max": 9, "taints": [OWN_TAINT]},
    ]
    where = {"gke": {"project": "my-project", "region": "us-central1"}, "eks": {"region": "us-east-1"}}[provider]
    network = {"allowedCidrs": ["203.0.113.7/32"]}
    spec = {"provider": provider, "network": network, **where, "pools": pools}
    cluster = cluster_from_data({"metadata": {"name": "lab"}, "spec": spec})
    roles = {"actor": {"resources": {"cpu": 0.5}}, "learner": {"pool": "theirs"}}
    plan, _ = plan_for(cluster, roles)
    assert plan is not None
    assert {role.name: role.pool for role in plan.roles} == {
        "actor": "plain",
        "learner": "theirs",
        "evaluator": "plain",
    }
