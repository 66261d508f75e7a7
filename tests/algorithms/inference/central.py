"""Central inference in one process: real sockets, a replica in a thread, and the asking ends of actors."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.inference.actor import CentralActor, grouped_environments
from surreal.algorithms.inference.role import Replica
from surreal.algorithms.inference.rollout import CentralRollout
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.device_acting import acting_policy
from surreal.algorithms.networks import Layout
from surreal.algorithms.normalizers import Standardizer, standardized_size
from surreal.algorithms.registry import IMPALA, PPO
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.types import Array
from surreal.protocol.errors import Stopping
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session
from tests.algorithms.fabric import Run

CENTRAL = {each.config: each.arranged({"inference": "central"}) for each in (PPO, IMPALA)}


class Fresh:
    """See rollouts.actor.Pace: any weights."""

    def newer_than(self) -> None:
        return None

    def collected(self, version: tuple[int, int]) -> None:
        pass


def run_of(folder: Path, config: RolloutConfig, env: dict[str, Any], copies: int, actors: int = 1) -> Run:
    """The wirings of a run."""
    run = Run(folder, {**config.model_dump(), "inference": "central"}, actors, algorithm=CENTRAL[type(config)])
    run.env = {**env, "copies": copies}
    return run


def layout_of(config: RolloutConfig, env: dict[str, Any]) -> tuple[Layout, Array]:
    """The layout of the networks, and parameters that are not the initial ones."""
    made = make_env(env, "", config.network.view)
    layout = make_model(config.network, made.spaces, config.hidden)
    made.close()
    rng = np.random.default_rng(3)
    vector = layout.initial(rng, -0.5) + 0.2 * rng.standard_normal(layout.size)
    return layout, vector.astype(np.float32)


class Served:
    """A learner that only publishes, and one replica that a thread turns."""

    def __init__(self, stack: ExitStack, run: Run, config: RolloutConfig, layout: Layout) -> None:
        self.run, self.config, self._stack, self._layout = run, config, stack, layout
        self.learner = Process(stack.enter_context(Session(run._wiring("learner", 0, 1))))
        self.process = Process(stack.enter_context(Session(run._wiring("inference", 0, 1))))
        self.replica = Replica(self.process, layout, config, acting_policy(layout, make_policy(layout)))
        self.failed: list[Exception] = []
        self._askers: list[Process] = []
        self._thread = threading.Thread(target=self._turn)

    def publish(self, vector: Array, number: int = 0) -> None:
        """Send weights."""
        plain = Standardizer.identity(standardized_size(self._layout.spaces))
        Weights((1, number), vector, plain, 0, False).publish(self.learner.publisher("weights"))

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._stack.callback(self.stop)

    def stop(self) -> None:
        """Stop answering."""
        self.process.session.node.stop("over")
        if self._thread.is_alive():
            self._thread.join()

    def _turn(self) -> None:
        with suppress(Stopping):
            while not self.process.should_stop:
                try:
                    self.replica.turn()
                except Stopping:
                    raise
                except Exception as error:
                    self.failed.append(error)
                    for each in self._askers:  # they would ask for ever
                        each.session.node.stop(f"the replica failed: {error!r}")
                    return

    def asking(self, index: int = 0, incarnation: int = 1) -> Process:
        """A process of an actor, which asks as it pleases."""
        self._askers.append(Process(self._stack.enter_context(Session(self.run._wiring("actor", index, incarnation)))))
        return self._askers[-1]

    def rollout(self, index: int = 0) -> CentralRollout:
        """What an actor collects its fragments by."""
        process = self.asking(index)
        envs = grouped_environments(process.wiring, self.config.network.view)
        for each in envs:
            self._stack.callback(each.close)
        return CentralActor(process, self.config, Fresh(), envs)._rollout


@contextmanager
def served(
    folder: Path,
    config: RolloutConfig,
    env: dict[str, Any],
    copies: int,
    actors: int = 1,
    publish: bool = True,
    wait: float = 0.002,
) -> Iterator[tuple[Served, Layout, Array]]:
    """A replica with weights, or with none yet, its layout and its parameters. `wait`: seconds that a batch waits."""
    layout, vector = layout_of(config, env)
    with ExitStack() as stack:
        found = Served(stack, run_of(folder, config, env, copies, actors), config, layout)
        found.replica._wait = wait
        if publish:
            found.publish(vector)
        found.start()
        yield found, layout, vector
        assert found.failed == []
