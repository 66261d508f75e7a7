"""Distributed reinforcement learning: train, look at runs, load policies, and write algorithms of your own.

    run = surreal.train("HalfCheetah-v5", surreal.PPO(total_steps=1_000_000), actors=2)
    policy = run.policy("best")

Every name is imported on first use: `import surreal` alone loads nothing else. See docs/api.md.
"""

TYPE_CHECKING = False
# Type checkers take this name for true. The module `typing` alone would take longer to import than all below.
if TYPE_CHECKING:
    from typing import Any

    from surreal.algorithms.algorithm import Algorithm, Config
    from surreal.algorithms.evaluate import evaluate
    from surreal.algorithms.exporting.files import export
    from surreal.algorithms.exporting.playing import play
    from surreal.algorithms.offpolicy.graph import DDPG, DQN, SAC, TD3
    from surreal.algorithms.r2d2.graph import R2D2
    from surreal.algorithms.registry import ARS, ES, IMPALA, PPO
    from surreal.orchestrator.client import Client, Run
    from surreal.orchestrator.experiment.experiment import Experiment
    from surreal.orchestrator.experiment.roles import Role
    from surreal.orchestrator.saved_run import load
    from surreal.orchestrator.train import train
    from surreal.protocol.graph import Broadcast, Service, Stream
    from surreal.protocol.worker.process import Process

__version__ = "0.1.0"

__all__ = [
    "ARS",
    "DDPG",
    "DQN",
    "ES",
    "IMPALA",
    "PPO",
    "R2D2",
    "SAC",
    "TD3",
    "Algorithm",
    "Broadcast",
    "Client",
    "Config",
    "Experiment",
    "Process",
    "Role",
    "Run",
    "Service",
    "Stream",
    "__version__",
    "evaluate",
    "export",
    "load",
    "play",
    "train",
]

_MODULES = {
    "ARS": "algorithms.registry",
    "DDPG": "algorithms.offpolicy.graph",
    "DQN": "algorithms.offpolicy.graph",
    "ES": "algorithms.registry",
    "IMPALA": "algorithms.registry",
    "PPO": "algorithms.registry",
    "R2D2": "algorithms.r2d2.graph",
    "SAC": "algorithms.offpolicy.graph",
    "TD3": "algorithms.offpolicy.graph",
    "Algorithm": "algorithms.algorithm",
    "Broadcast": "protocol.graph",
    "Client": "orchestrator.client",
    "Config": "algorithms.algorithm",
    "Experiment": "orchestrator.experiment.experiment",
    "Process": "protocol.worker.process",
    "Role": "orchestrator.experiment.roles",
    "Run": "orchestrator.client",
    "Service": "protocol.graph",
    "Stream": "protocol.graph",
    "evaluate": "algorithms.evaluate",
    "export": "algorithms.exporting.files",
    "load": "orchestrator.saved_run",
    "play": "algorithms.exporting.playing",
    "train": "orchestrator.train",
}
"""Public name -> module that defines it."""


def __getattr__(name: str) -> "Any":
    if name not in _MODULES:
        raise AttributeError(f"module 'surreal' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"surreal.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
