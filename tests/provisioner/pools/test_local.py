"""This machine as a pool: what is really usable, also inside a container."""

import os
from pathlib import Path

import pytest

from surreal.provisioner.pools.local import (
    cpu_quotas,
    gpu_names,
    local_pool,
    memory_limits,
    usable_cores,
    usable_memory,
)


def machine(root: Path, cgroup: str, **files: str) -> Path:
    """A root folder with `/proc/self/cgroup` and files under `/sys/fs/cgroup` (`__` stands for `/`)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("___", ".").replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_pool_is_this_machine() -> None:
    pool = local_pool()
    assert (pool.name, pool.nodes, pool.provider) == ("local", 1, "local")
    assert 0 < pool.cpu <= (os.cpu_count() or 1)
    assert 2**26 < pool.memory < 2**50
    assert (pool.gpu_type is None) == (pool.gpus == 0)
    assert pool == local_pool()


def test_no_more_than_the_physical_machine_is_usable() -> None:
    assert usable_cores() <= (os.cpu_count() or 1)
    assert usable_memory() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_cores_taken_away_by_affinity_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() <= 1
    finally:
        os.sched_setaffinity(0, before)


def test_a_container_of_cgroup_v2_has_its_quota(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/\n", cpu___max="150000 100000\n", memory___max="1073741824\n")
    assert cpu_quotas(root) == [1.5]
    assert memory_limits(root) == [2**30]


def test_limits_of_all_groups_above_count(tmp_path: Path) -> None:
    root = machine(tmp_path, "0::/a/b\n", a__b__cpu___max="max 100000\n", a__cpu___max="50000 100000\n")
    assert cpu_quotas(root) == [0.5]
    assert memory_limits(root) == []


def test_a_container_of_cgroup_v1_has_its_quota(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/x\n",
        cpu__cpu___cfs_quota_us="200000\n",
        cpu__cpu___cfs_period_us="100000\n",
        memory__memory___limit_in_bytes="536870912\n",
    )
    assert cpu_quotas(root) == [2.0]
    assert memory_limits(root) == [2**29]


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    root = machine(
        tmp_path, "0::/\n3:cpu:/\n", cpu___max="max 100000", cpu__cpu___cfs_quota_us="-1", memory___max="max"
    )
    assert cpu_quotas(root) == []
    assert memory_limits(root) == []


def test_a_system_without_cgroups_has_no_limits(tmp_path: Path) -> None:
    assert cpu_quotas(tmp_path) == []
    assert memory_limits(tmp_path) == []


def driver(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program called nvidia-smi first on PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_gpus_are_those_the_driver_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, "printf 'NVIDIA L4\\nNVIDIA L4\\n'", monkeypatch)
    assert gpu_names() == ["NVIDIA L4", "NVIDIA L4"]
    assert (local_pool().gpus, local_pool().gpu_type) == (2, "NVIDIA L4")


def test_a_broken_driver_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, "echo 'could not communicate with the driver'; exit 9", monkeypatch)
    assert gpu_names() == []
