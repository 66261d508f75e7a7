"""The evaluator: the unperturbed policy, which no worker rolls out, on its own clock."""

from contextlib import closing

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.es.batched_policy import Layout, Policies
from surreal.algorithms.es.config import read_config
from surreal.algorithms.es.weights import Weights
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def evaluator(process: Process) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the master says that these are the last weights."""
    wiring = process.wiring
    config = read_config(wiring.config)
    with closing(make_env(wiring.env, wiring.code, evaluating=True)) as env:
        policy = Policies(Layout.of(config, env.spaces), 1)

        def load(message: Message) -> Act:
            weights = Weights.read(message)
            policy.parameters[0] = weights.parameters
            return lambda features: policy.act(weights.standardize(features), env.mask)

        every, cap = config.evaluate_every_seconds, config.episode_cap
        evaluate_on_clock(process, env, load, every, config.evaluate_episodes, cap)
