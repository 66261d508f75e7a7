"""A run of ES or ARS as real worker processes without a supervisor, for tests of the roles themselves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
from surreal.algorithms.registry import algorithm
from surreal.protocol.wiring import ChannelWiring, Wiring
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
        super().__init__(folder, {}, env=env, options=options)
        self._algorithm = algorithm(name)
        self.config = self._algorithm.config(**config).model_dump(mode="json")
        self.replicas = {"master": 1, "worker": workers, "evaluator": 1}

    def _wiring(self, role: str, index: int, incarnation: int) -> Wiring:
        channels = {
            c.name: ChannelWiring(**vars(c), addresses=(f"ipc://{self.folder}/{c.name}.ipc",))
            for c in self._algorithm.channels
        }
        return replace(
            super()._wiring("learner", index, incarnation),
            role=role,
            run=self._algorithm.role(role).entry_point,
            channels=channels,
            replicas=self.replicas,
            serves_control=role == "master",
        )

    def __enter__(self) -> "EvolutionRun":
        return self

    def checkpoint(self) -> Checkpoint:
        """The newest one."""
        newest = Checkpoints(self.folder / "checkpoints", keep=2).newest()
        assert newest is not None
        return newest
