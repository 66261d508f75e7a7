"""What a platform leaves of a machine."""

import pytest

from surreal.provisioner.pools.reserved import allocatable, usable

GIB = 1 << 30
MIB = 1 << 20


@pytest.mark.parametrize(
    ("cpu", "memory", "pods", "cores", "mebibytes"),
    [
        # Karpenter's generated reference of instance types, 2026-07-11: machine, then what its node has for pods
        (2, 8192, 29, 1.93, 6903),  # m7i.large
        (4, 16384, 58, 3.92, 14162),  # g6.xlarge
        (8, 32768, 58, 7.91, 29317),  # g6.2xlarge
        (16, 65536, 234, 15.89, 57691),  # g5.4xlarge
        (48, 196608, 737, 47.81, 173400),  # g5.12xlarge
        (192, 2097152, 100, 191.45, 1938410),  # p5.48xlarge
    ],
)
def test_eks_keeps_what_karpenter_says_it_keeps(cpu: int, memory: int, pods: int, cores: float, mebibytes: int) -> None:
    found = allocatable("eks", cpu, memory * MIB, pods)
    assert found[0] == pytest.approx(cores, abs=0.001)
    assert found[1] / MIB == pytest.approx(mebibytes, abs=1)


@pytest.mark.parametrize(
    ("cpu", "gibibytes", "cores", "reserved"),
    [
        # Google's tiers: 6 % of the first core, 1 % of the next, 0.5 % of two more, 0.25 % of the rest;
        # 25 % of the first 4 GiB, 20 % of 4, 10 % of 8, 6 % of 112, 2 % of the rest; and 100 MiB
        (2, 8, 1.93, 1.8 * 1024 + 100),
        (4, 16, 3.92, 2.6 * 1024 + 100),
        (8, 32, 7.91, (2.6 + 0.06 * 16) * 1024 + 100),
        (96, 384, 95.69, (2.6 + 6.72 + 0.02 * 256) * 1024 + 100),
    ],
)
def test_gke_keeps_its_tiers_and_the_kernels_share(cpu: int, gibibytes: int, cores: float, reserved: float) -> None:
    found = allocatable("gke", cpu, gibibytes * GIB, None)
    assert found[0] == pytest.approx(cores)
    kernel = gibibytes * 1024 - reserved - found[1] / MIB
    assert 0.016 * gibibytes * 1024 < kernel < 0.02 * gibibytes * 1024 + 100


@pytest.mark.parametrize("platform", ["gke", "eks", "karpenter", "gke-autoprovision", "minikube", "existing"])
def test_processes_get_less_than_pods_and_never_less_than_nothing(platform: str) -> None:
    cores, memory = allocatable(platform, 8, 32 * GIB, None)
    left = usable(platform, 8, 32 * GIB, None)
    assert 0 < left[0] < cores <= 8
    assert 0 < left[1] < memory <= 32 * GIB
    assert usable(platform, 0.1, 128 * MIB, None) == (0.0, 0)
