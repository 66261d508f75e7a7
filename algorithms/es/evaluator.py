"""The evaluator: the unperturbed policy, which no worker rolls out, on its own clock."""

from surreal.algorithms.environments import make_env
from surreal.algorithms.es.batched_policy import Layout, Policies, flat_spaces
from surreal.algorithms.es.config import read_config
from surreal.algorithms.es.rollout import action_limits
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the master says that these are the last weights."""
    wiring = process.wiring
    config = read_config(wiring.config)
    env = make_env(wiring.env["id"], wiring.env["options"])
    policy = Policies(Layout.of(config, flat_spaces(env)), 1)
    fit = action_limits(env)

    def load(message: Message) -> Act:
        weights = Weights.read(message)
        policy.parameters[0] = weights.parameters
        return lambda observations: fit(policy.act(weights.standardize(observations)))

    evaluate_on_clock(process, env, load, config.evaluate_every_seconds, config.evaluate_episodes, config.episode_cap)
