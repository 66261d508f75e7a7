"""Roles that step environments: the actor, which explores and fills replay, and the evaluator, which does neither."""

from contextlib import closing
from time import perf_counter

import numpy as np

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.masks import check_masks
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import Act, Remembering, evaluate_on_clock
from surreal.algorithms.inference.actor import asked, central_environments, grouped
from surreal.algorithms.inference.graph import CENTRAL
from surreal.algorithms.inference.role import answer, spaces_of
from surreal.algorithms.inference.rollout import CentralRollout
from surreal.algorithms.models.device_acting import acting_policy
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.r2d2.network import ValuePolicy, epsilons, make_layout
from surreal.algorithms.replay_learning.actor import Collected, ReplayActor, ReplaySending
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def collected(arrays: dict[str, Array]) -> Collected:
    """Return what replay gets of a fragment, and the returns of its episodes."""
    del arrays["log_probs"]
    return Collected(arrays, arrays.pop("episode_returns"), arrays.pop("episode_lengths"))


class Actor(ReplayActor):
    """State of one actor process with a policy of its own."""

    def __init__(self, process: Process, envs: VectorEnvironments, rng: np.random.Generator) -> None:
        wiring, config = process.wiring, R2D2Config.recorded(process.config)
        copies = int(wiring.env["copies"])
        self._epsilon = epsilons(config, wiring.index, wiring.replicas["actor"], copies)
        self._policy = ValuePolicy(make_layout(config, envs.spaces), self._epsilon)
        # Replay keeps the state at the begin of each sequence, wherever that is in the fragment.
        self._rollout = Rollout(envs, self._policy, copies, config.fragment_steps, rng, sequence=1)
        check_masks("r2d2", envs.name, envs.masks is not None)
        super().__init__(process, envs.name, self._rollout.restart)

    def collect(self, weights: Weights) -> Collected | None:
        """See ReplayActor."""
        self._policy.load(weights.parameters)
        arrays = self._rollout.collect(lambda rows: rows, self.stopping)
        return None if arrays is None else collected(arrays)

    @property
    def env_seconds(self) -> float:
        """See ReplayActor."""
        return self._rollout.env_seconds

    def metrics(self) -> dict[str, float]:
        """See ReplayActor."""
        return {"epsilon": float(self._epsilon.mean())}


class CentralActor:
    """State of one actor process that asks for its actions, and explores by itself."""

    def __init__(self, process: Process, envs: list[VectorEnvironments]) -> None:
        wiring, config, spaces = process.wiring, R2D2Config.recorded(process.config), envs[0].spaces
        copies, layout = int(wiring.env["copies"]), make_layout(config, spaces)
        self._epsilon, self._choices = epsilons(config, wiring.index, wiring.replicas["actor"], copies), spaces.action
        self._rng, self._stopping = process.rng, process.stopping.is_set
        self._groups = grouped(process, envs)
        self._rollout = CentralRollout(
            self._groups, spaces.onto_bounds, config.fragment_steps, 1, layout.state_size, self._explored
        )
        check_masks("r2d2", envs[0].name, envs[0].masks is not None)
        self._sending = ReplaySending(process, envs[0].name, self._rollout.restart)

    def _explored(self, actions: Array, copies: slice) -> Array:
        """Return the actions of some copies, a random one with the epsilon of each."""
        explore = self._rng.random(len(actions)) < self._epsilon[copies]
        return np.where(explore, self._rng.integers(self._choices, size=len(actions)), actions)

    def turn(self) -> None:
        """Collect one fragment and send it. Raises Fatal where questions are refused."""
        start, inside = perf_counter(), self._rollout.env_seconds
        found = asked(self._rollout, None, self._stopping)
        acted = perf_counter()
        if found is None:
            return
        self._sending.send(collected(found.arrays), found.version)
        environment = self._rollout.env_seconds - inside
        spent = {"waiting": acted - start - environment, "environment": environment, "sending": perf_counter() - acted}
        more = {"epsilon": float(self._epsilon.mean()), "fragments_lost": self._rollout.lost}
        self._sending.report(spent, more)


def actor(process: Process) -> None:
    """Act until told to stop, by a policy here or by the role `inference`, as the config says."""
    config = R2D2Config.recorded(process.config)
    if config.inference == CENTRAL:
        with central_environments(process.wiring, config.network.view) as envs:
            asking = CentralActor(process, envs)
            while not process.stopping.is_set():
                asking.turn()
        return
    copies, rng = environments_of(process.wiring, config.network.view)
    with closing(copies):
        acting = Actor(process, copies, rng)
        while not process.stopping.is_set():
            acting.turn()


def inference(process: Process) -> None:
    """Answer the actors by the best choices until told to stop."""
    config = R2D2Config.recorded(process.config)
    layout = make_layout(config, spaces_of(process, config.network.view))
    answer(process, layout, acting_policy(layout, ValuePolicy(layout), config.device, process.wiring.index))


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring, config = process.wiring, R2D2Config.recorded(process.config)
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
