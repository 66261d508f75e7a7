"""A cluster file -> the pools it promises."""

from typing import Any

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.pools.labels import Taint
from surreal.provisioner.pools.model import NodePool
from tests.provisioner.clusters import cluster


def declare(*pools: dict[str, Any], provider: str = "gke", **spec: Any) -> tuple[dict[str, NodePool], tuple[str, ...]]:
    found, warnings = declared_pools(cluster(provider, pools=list(pools), **spec), machine_table())
    return {pool.name: pool for pool in found}, warnings


def test_a_pool_has_its_machine_its_bounds_and_its_price() -> None:
    pools, warnings = declare({"name": "actors", "machine": "n2-standard-8", "min": 1, "max": 40, "spot": True})
    pool = pools["actors"]
    assert (pool.nodes, pool.min_nodes, pool.max_nodes, pool.price) == (0, 1, 40, 0.094)
    assert 7 < pool.cpu < 7.91
    assert pool.taints == (Taint("cloud.google.com/gke-spot", "true"),)
    assert pool.selector == {"surreal.dev/pool": "actors", "cloud.google.com/gke-spot": "true"}
    assert warnings == ()


def test_a_machines_own_gpus_need_not_be_said() -> None:
    pools, _ = declare({"name": "l4", "machine": "g2-standard-8", "max": 2})
    assert (pools["l4"].gpus, pools["l4"].gpu_type) == (1, "nvidia-l4")
    assert pools["l4"].taints == (Taint("nvidia.com/gpu", "present"),)


def test_a_machine_that_the_table_does_not_know_needs_its_resources_and_is_warned_of() -> None:
    with pytest.raises(
        InvalidInput, match=r"pools.0.machine: the table does not know 'n2-standart-8' \(did you mean 'n2-"
    ):
        declare({"name": "a", "machine": "n2-standart-8", "max": 1})
    given = {"name": "a", "machine": "z9-huge", "max": 1, "resources": {"cpu": 100, "memory": "400Gi"}}
    pools, (warning,) = declare(given)
    assert 90 < pools["a"].cpu < 100
    assert pools["a"].price is None
    assert (
        warning == "pool 'a': the table does not know 'z9-huge': its resources are those of the file, its price unknown"
    )


def test_gpus_of_an_unknown_machine_are_believed() -> None:
    given = {"machine": "z9-gpu", "max": 1, "resources": {"cpu": 9, "memory": "99Gi"}}
    pools, _ = declare({"name": "a", **given, "accelerator": {"type": "nvidia-x1", "count": 2}})
    assert (pools["a"].gpus, pools["a"].gpu_type) == (2, "nvidia-x1")


def test_gpus_on_machines_that_have_none_are_refused_with_all_other_problems() -> None:
    gpu = {"accelerator": {"type": "nvidia-l4", "count": 1}}
    with pytest.raises(InvalidInput) as caught:
        declare({"name": "a", "machine": "n2-standard-8", "max": 1, **gpu}, {"name": "b", "machine": "what", "max": 1})
    assert "spec.pools.0.accelerator: n2-standard-8 cannot have 1 x nvidia-l4: it has none" in str(caught.value)
    assert "spec.pools.1.machine: the table does not know 'what'" in str(caught.value)


def test_a_region_without_the_accelerator_is_warned_of() -> None:
    machine = {"name": "a", "machine": "a2-highgpu-1g", "max": 1}
    _, warnings = declare(machine, region="europe-north1")
    assert warnings[0].startswith(
        "pool 'a': a2-highgpu-1g was not offered in europe-north1 on 2026-07-01, but in asia-"
    )
    assert declare(machine) == (declare(machine)[0], ())


def test_a_price_of_another_region_is_said_to_be_one() -> None:
    _, warnings = declare({"name": "a", "machine": "n2-standard-8", "max": 1}, region="europe-west4")
    assert warnings == ("pool 'a': its price is that of us-central1; prices in europe-west4 differ",)


def test_a_machine_too_small_for_its_own_system_is_refused() -> None:
    tiny = {"name": "a", "machine": "tiny", "max": 1, "resources": {"cpu": 0.5, "memory": "1Gi"}}
    with pytest.raises(InvalidInput, match="spec.pools.0: tiny is too small: the system of gke needs all it has"):
        declare(tiny)


def test_minikube_has_what_its_file_says_and_asks_for_it() -> None:
    pools, _ = declare({"name": "cpu", "max": 2, "resources": {"cpu": 4, "memory": "8Gi"}}, provider="minikube")
    assert (pools["cpu"].provider, pools["cpu"].price, pools["cpu"].taints) == ("minikube", None, ())
    with pytest.raises(InvalidInput, match="spec.pools.0.resources: give the size of one machine"):
        declare({"name": "cpu", "max": 2}, provider="minikube")


@pytest.mark.parametrize(("provider", "platform"), [("gke", "gke-autoprovision"), ("eks", "karpenter")])
def test_pools_made_to_measure_follow_the_labels_of_who_makes_them(provider: str, platform: str) -> None:
    machine = {"gke": "n2-standard-8", "eks": "m7i.2xlarge"}[provider]
    pools, _ = declare({"name": "a", "machine": machine, "max": 9, "autoprovision": True}, provider=provider)
    assert pools["a"].provider == platform


def test_node_auto_provisioning_is_told_what_to_make_by_what_pods_select() -> None:
    pools, _ = declare({"name": "a", "machine": "g2-standard-8", "max": 9, "autoprovision": True, "spot": True})
    assert pools["a"].selector == {
        "surreal.dev/pool": "a",
        "cloud.google.com/gke-spot": "true",
        "cloud.google.com/machine-family": "g2",
        "cloud.google.com/gke-accelerator": "nvidia-l4",
    }
    # selector and toleration of the same key and value make a pool of its own, with the label and the taint
    assert Taint("surreal.dev/pool", "a") in pools["a"].taints
