"""Roles that step environments: the actor, which explores and fills replay, and the evaluator, which does neither."""

from contextlib import closing

import numpy as np

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import Act, Remembering, evaluate_on_clock
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import ValuePolicy, epsilons, make_layout
from surreal.algorithms.replay_learning.actor import Collected, ReplayActor
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


class Actor(ReplayActor):
    """State of one actor process."""

    def __init__(self, process: Process, envs: VectorEnvironments, rng: np.random.Generator) -> None:
        wiring, config = process.wiring, R2D2Config(**process.config)
        copies = int(wiring.env["copies"])
        self._epsilon = epsilons(config, wiring.index, wiring.replicas["actor"], copies)
        self._policy = ValuePolicy(make_layout(config, envs.spaces), self._epsilon)
        # Replay keeps the state at the begin of each sequence, wherever that is in the fragment.
        self._rollout = Rollout(envs, self._policy, copies, config.fragment_steps, rng, sequence=1)
        if envs.masks is not None:
            raise Fatal(f"algorithm.name: 'r2d2' knows no masks of choices, and {envs.name!r} has some. Use ppo.")
        super().__init__(process, envs.name, self._rollout.restart)

    def collect(self, weights: Weights) -> Collected | None:
        """See ReplayActor."""
        self._policy.load(weights.parameters)
        arrays = self._rollout.collect(lambda rows: rows, self.stopping)
        if arrays is None:
            return None
        del arrays["log_probs"]
        return Collected(arrays, arrays.pop("episode_returns"), arrays.pop("episode_lengths"))

    @property
    def env_seconds(self) -> float:
        """See ReplayActor."""
        return self._rollout.env_seconds

    def metrics(self) -> dict[str, float]:
        """See ReplayActor."""
        return {"epsilon": float(self._epsilon.mean())}


def actor(process: Process) -> None:
    """Act until told to stop."""
    envs, rng = environments_of(process.wiring, R2D2Config(**process.config).network.view)
    with closing(envs):
        state = Actor(process, envs, rng)
        while not process.stopping.is_set():
            state.turn()


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring, config = process.wiring, R2D2Config(**process.config)
    with closing(make_env(wiring.env, wiring.code, config.network.view, evaluating=True)) as env:
        policy = ValuePolicy(make_layout(config, env.spaces))
        start = policy.initial_state(1)

        def load(message: Message) -> Act:
            policy.load(Weights.read(message).parameters)

            def act(rows: Rows, state: Array | None) -> tuple[Array, Array]:
                out, state = policy.advance(rows, start if state is None else state)
                return policy.best(out), state

            return Remembering(act, policy.noted)

        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_on_clock(process, env, load, every, config.evaluate_episodes, cap)
