"""What the names of machine types say, and the machines that people use."""

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.machine_names import architecture
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_file import declared_pools
from tests.provisioner.clusters import cluster

TABLE = machine_table()
GIB = 2**30


@pytest.mark.parametrize(
    ("provider", "name", "arch"),
    [
        *(("eks", name, "arm64") for name in ("m7g.large", "c7gn.xlarge", "t4g.small", "g5g.2xlarge", "a1.large")),
        *(("eks", name, "amd64") for name in ("m7i.large", "g5.xlarge", "g6.2xlarge", "t3.large", "c6a.large")),
        *(("gke", name, "arm64") for name in ("t2a-standard-4", "c4a-highmem-8")),
        *(("gke", name, "amd64") for name in ("t2d-standard-4", "n2-standard-8", "a2-highgpu-1g")),
        ("existing", "box", None),
    ],
)
def test_the_name_says_the_architecture(provider: str, name: str, arch: str | None) -> None:
    assert architecture(provider, name) == arch


@pytest.mark.parametrize(
    ("provider", "name", "cpu", "memory"),
    [
        ("eks", "m6i.2xlarge", 8, 32),
        ("eks", "c6a.4xlarge", 16, 32),
        ("eks", "m7g.large", 2, 8),
        ("eks", "c7g.xlarge", 4, 8),
        ("eks", "r7g.xlarge", 4, 32),
        ("eks", "t3.medium", 2, 4),
        ("gke", "n2d-standard-8", 8, 32),
        ("gke", "c3d-highmem-4", 4, 32),
        ("gke", "n4-highcpu-16", 16, 32),
        ("gke", "t2a-standard-8", 8, 32),
        ("gke", "c4a-standard-16", 16, 64),
        ("gke", "e2-medium", 1, 4),
        ("gke", "n2-custom-6-20480", 6, 20),
        ("gke", "custom-2-7680", 2, 7.5),
    ],
)
def test_the_table_knows_the_types_that_people_use(provider: str, name: str, cpu: float, memory: float) -> None:
    machine = TABLE.find(provider, name)
    assert machine is not None
    assert (machine.cpu, machine.memory) == (cpu, memory * GIB)


def test_a_custom_type_is_priced_by_core_and_gib_where_the_family_is() -> None:
    machine = TABLE.find("gke", "n2-custom-8-16384")
    assert machine is not None and machine.price == pytest.approx(8 * 0.033174 + 16 * 0.004446)
    unpriced = TABLE.find("gke", "n4-custom-8-16384")
    assert unpriced is not None and unpriced.price is None


@pytest.mark.parametrize(
    ("provider", "name", "near"),
    [
        ("eks", "m8gd.2xlarge", "g."),
        ("eks", "g7e.2xlarge", "g"),
        ("gke", "t2a-standard-9", "t2a-standard-"),
    ],
)
def test_a_hint_has_the_same_architecture_and_accelerators(provider: str, name: str, near: str) -> None:
    hint = TABLE.nearest(provider, name)
    assert not hint or near in hint
    suggested = hint.partition("'")[2].partition("'")[0]
    if suggested:
        assert architecture(provider, suggested) == architecture(provider, name)


@pytest.mark.parametrize(
    ("provider", "name", "said"),
    [
        ("gke", "ct5lp-hightpu-4t", "'ct5lp-hightpu-4t' is a TPU host, which PyTorch here cannot use"),
        ("eks", "trn1.2xlarge", "'trn1.2xlarge' has Neuron accelerators"),
        ("eks", "inf2.xlarge", "'inf2.xlarge' has Neuron accelerators"),
    ],
)
def test_hosts_of_accelerators_that_cannot_be_used_are_refused_with_the_reason(
    provider: str, name: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        declared_pools(cluster(provider, pools=[{"name": "a", "machine": name, "max": 1}]), TABLE)
    assert f"spec.pools.0.machine: {said}" in str(caught.value)


def test_a_spot_machine_without_a_spot_price_is_bounded_by_its_price_on_demand() -> None:
    pool = {"name": "a", "machine": "c7g.2xlarge", "max": 1, "spot": True}
    ((found,), _) = declared_pools(cluster("eks", pools=[pool]), TABLE)
    assert (found.price, found.price_bound, found.arch) == (None, 0.29, "arm64")
