"""This machine as a pool of one node: the cores, memory and GPUs that processes started here really get."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from surreal.provisioner.pools.model import NodePool


def local_pool() -> NodePool:
    """Return the pool `local`: cores by affinity and cgroup quota, memory by cgroup limit, GPUs by nvidia-smi."""
    names = gpu_names()
    return NodePool(
        name="local",
        nodes=1,
        cpu=usable_cores(),
        memory=usable_memory(),
        gpus=len(names),
        gpu_type=names[0] if names else None,
    )


def usable_cores() -> float:
    """Return cores this process may use; a container with a quota of one and a half has 1.5."""
    # macOS has no affinity
    affinity = getattr(os, "sched_getaffinity", None)
    cores = float(len(affinity(0)) if affinity else os.cpu_count() or 1)
    return min([cores, *cpu_quotas()])


def usable_memory() -> int:
    """Return bytes this process may use: the machine's memory, or its cgroup's limit where that is less."""
    return min([_physical_memory(), *memory_limits()])


def gpu_names() -> list[str]:
    """Return the name of each NVIDIA GPU, in order; empty where there is none or its driver does not answer."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def cpu_quotas(root: Path = Path("/")) -> list[float]:
    """Return cores allowed by each cgroup (v2 `cpu.max`, v1 `cfs_quota`) above this process; empty without a limit."""
    words = []
    for folder in _cgroups("cpu", root):
        words.append(_words(folder / "cpu.max"))
        words.append(_words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"))
    # "max" and -1 mean no limit
    limits = [(int(w[0]), int(w[1])) for w in words if len(w) == 2 and w[0].isdigit() and w[1].isdigit()]
    return [quota / period for quota, period in limits if quota and period]


def memory_limits(root: Path = Path("/")) -> list[int]:
    """Return bytes allowed by each cgroup (v2 `memory.max`, v1 `limit_in_bytes`) above this process, if any."""
    words = [
        word
        for folder in _cgroups("memory", root)
        for name in ("memory.max", "memory.limit_in_bytes")
        for word in _words(folder / name)
    ]
    return [int(word) for word in words if word.isdigit()]


def _cgroups(controller: str, root: Path) -> list[Path]:
    """Return the folders of this process's cgroup and of all above it; none where the system has no cgroups."""
    folders = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controller if controllers else "")
        # inside a container the path is the host's and does not exist, but the mount itself is our cgroup
        below = mount / path.lstrip("/")
        folders += [below, *(parent for parent in below.parents if parent.is_relative_to(mount))]
    return folders


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _physical_memory() -> int:
    if platform.system() == "Darwin":
        return int(subprocess.run(["/usr/sbin/sysctl", "-n", "hw.memsize"], capture_output=True, check=True).stdout)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
