"""The evaluator: deterministic episodes with the newest weights, on its own clock."""

from surreal.algorithms.environments import make_env, spaces_of
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.weights import Weights
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring = process.wiring
    config = PPOConfig(**wiring.config)
    env = make_env(wiring.env["id"], wiring.env["options"])
    policy = Policy(Shape(spaces_of(env), tuple(config.hidden)))

    def load(message: Message) -> Act:
        weights = Weights.read(message)
        policy.load(weights.parameters)
        return lambda observations: policy.best(policy.forward(weights.standardize(observations)))

    evaluate_on_clock(process, env, load, config.evaluate_every_seconds, config.evaluate_episodes)
