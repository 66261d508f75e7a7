"""The evaluator: deterministic episodes with the newest weights, on its own clock."""

from contextlib import closing

from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.normalizers import over_leaves
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.own_network import make_policy, make_shape, view_of
from surreal.algorithms.ppo.weights import Weights
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring = process.wiring
    config = PPOConfig(**wiring.config)
    with closing(make_env(wiring.env, wiring.code, view_of(config))) as env:
        policy = make_policy(make_shape(config, env.spaces))
        scaled = env.spaces.onto_bounds

        def load(message: Message) -> Act:
            weights = Weights.read(message)
            policy.load(weights.parameters)
            standardize = over_leaves(weights.standardize, env.spaces)
            return lambda rows: scaled(policy.best(masked(policy.forward(standardize(rows)), env.mask)))

        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_on_clock(process, env, load, every, config.evaluate_episodes, cap)
