"""The evaluator: deterministic episodes with the newest weights, on its own clock."""

from contextlib import closing

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.evaluation import Act, Remembering, evaluate_on_clock
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.normalizers import over_leaves
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process


def evaluate(process: Process, config: RolloutConfig) -> None:
    """Evaluate every `evaluate_every_seconds`, and at once when the learner says that these are the last weights."""
    wiring = process.wiring
    with closing(make_env(wiring.env, wiring.code, config.network.view, evaluating=True)) as env:
        policy = make_policy(make_model(config.network, env.spaces, config.hidden))
        scaled, start = policy.bounded(env.spaces.onto_bounds), policy.initial_state(1)

        def load(message: Message) -> Act:
            weights = Weights.read(message)
            policy.load(weights.parameters)
            standardize = over_leaves(weights.standardize, env.spaces)

            def act(rows: Rows, state: Array | None) -> tuple[Array, Array]:
                out, state = policy.advance(standardize(rows), start if state is None else state)
                return scaled(policy.best(masked(out, env.mask))), state

            return Remembering(act)

        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_on_clock(process, env, load, every, config.evaluate_episodes, cap)
