"""A pool of equal machines: the one thing the orchestrator knows about hardware."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NodePool:
    """`nodes` machines that each offer `cpu` cores, `memory` bytes and `gpus` GPUs to the processes of experiments."""

    name: str
    nodes: int
    cpu: float
    memory: int
    gpus: int = 0
    gpu_type: str | None = None
    """The GPU's name as its driver says it; None without one."""
    provider: str = "local"
    """Who lends the machines; `local` is the one surreal itself runs on."""
