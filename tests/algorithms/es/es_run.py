"""A run of ES or ARS as real worker processes without a supervisor, for tests of the roles themselves."""

from pathlib import Path
from typing import Any

from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.registry import algorithm
from tests.algorithms.fabric import Run


class EvolutionRun(Run):
    """`workers` is what the run is planned for; more or fewer may be started."""

    def __init__(
        self,
        folder: Path,
        name: str,
        config: dict[str, Any],
        workers: int = 1,
        env: str = "CartPole-v1",
        options: dict[str, Any] | None = None,
    ) -> None:
        replicas = {"master": 1, "worker": workers, "evaluator": 1}
        super().__init__(folder, config, env=env, options=options, algorithm=algorithm(name), replicas=replicas)
        self.config = self.algorithm.config(**config).model_dump(mode="json")
        self.replicas = replicas

    def __enter__(self) -> "EvolutionRun":
        return self

    def checkpoint(self) -> Checkpoint:
        """The newest one."""
        newest = Checkpoints(self.folder / "checkpoints", keep=2).newest()
        assert newest is not None
        return newest
