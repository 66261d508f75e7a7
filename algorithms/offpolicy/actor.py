"""Roles that step environments: the actor, which explores and fills replay, and the evaluator, which does neither."""

from contextlib import closing

import numpy as np

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.masks import check_masks
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.offpolicy.exploration import Place, RandomActions, make_exploration
from surreal.algorithms.offpolicy.method import Method, method_of
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.offpolicy.rollout import Rollout
from surreal.algorithms.replay_learning.actor import Collected, ReplayActor
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


class Actor(ReplayActor):
    """State of one actor process."""

    def __init__(self, process: Process, method: Method, envs: VectorEnvironments, rng: np.random.Generator) -> None:
        wiring, config = process.wiring, method.config
        copies = int(wiring.env["copies"])
        self._policy = ActingPolicy(method.shape(envs.spaces))
        place = Place(wiring.index, wiring.replicas["actor"])
        self._explore = make_exploration(config, self._policy, copies, rng, place)
        self._random = RandomActions(self._policy, copies, rng)
        self._rollout = Rollout(envs, copies, config.fragment_steps)
        check_masks(method.name, envs.name, envs.masks is not None)
        super().__init__(process, envs.name, self._restart)

    def _restart(self) -> None:
        """Begin new episodes in all copies."""
        self._rollout.restart()
        self._explore.restarted()

    def collect(self, weights: Weights) -> Collected | None:
        """See ReplayActor."""
        self._policy.load(weights.parameters)
        # Version 0 is of weights that have learned nothing: uniform actions say more about the environment.
        explore = self._explore if weights.version[1] else self._random
        return self._rollout.collect(explore, weights.standardize, self.stopping)

    @property
    def env_seconds(self) -> float:
        """See ReplayActor."""
        return self._rollout.env_seconds

    def metrics(self) -> dict[str, float]:
        """See ReplayActor."""
        return self._explore.metrics()


def actor(process: Process) -> None:
    """Act until told to stop."""
    envs, rng = environments_of(process.wiring)
    with closing(envs):
        state = Actor(process, method_of(process), envs, rng)
        while not process.stopping.is_set():
            state.turn()


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring, method = process.wiring, method_of(process)
    with closing(make_env(wiring.env, wiring.code, evaluating=True)) as env:
        config = method.config
        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_policy(process, env, ActingPolicy(method.shape(env.spaces)), every, config.evaluate_episodes, cap)


def evaluate_policy(
    process: Process, env: Environment, policy: ActingPolicy, every: float, episodes: int, cap: int | None
) -> None:
    """Evaluate what `policy` does by the newest weights, without exploring; see evaluate_on_clock."""
    scaled = env.spaces.onto_bounds

    def load(message: Message) -> Act:
        weights = Weights.read(message)
        policy.load(weights.parameters)
        return lambda features: scaled(policy.best(policy.forward(weights.standardize(features))))

    evaluate_on_clock(process, env, load, every, episodes, cap)
