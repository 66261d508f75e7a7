"""The roles that act, in numpy (torch only for a network of one's own): an actor, fragments out, and the evaluator."""

from collections.abc import Callable
from contextlib import closing
from time import perf_counter
from typing import Protocol

from surreal.algorithms.acting.actors import environments_of
from surreal.algorithms.acting.sending import FragmentSending
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.distributions import masked
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.rows import Rows
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import Act, Remembering, evaluate_on_clock
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.networks import Policy
from surreal.algorithms.normalizers import over_leaves
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.rollouts.fragment import RESTARTS, check_size
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.stream.sharded import ShardedSender
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

MOST_REFUSALS = 50
"""Refused fragments in a row after which the environment is taken for broken. One that gives NaN in a step of a
thousand spoils seven of eight fragments of 2,048 steps, and fifty in a row once in a thousand runs."""


def own_end(process: Process, name: str) -> StreamSender:
    """Return the end of a stream that leads to the receiver of this process, one of several by its index."""
    sender = process.sender(name)
    if not isinstance(sender, ShardedSender):
        return sender
    return sender.shards[process.wiring.index % len(sender.shards)]


class Pace(Protocol):
    """Choice of the weights that the next fragment needs."""

    def newer_than(self) -> Version | None:
        """Return the version that the next weights must exceed; None for any."""

    def collected(self, version: Version) -> None:
        """Note that a fragment was collected with `version`."""


class Sending(FragmentSending):
    """Way of an actor's fragments to the learner, and its reports."""

    def __init__(self, process: Process, pace: Pace, environment: str, restart: Callable[[], None]) -> None:
        """Take `restart` as what begins new episodes in all copies of `environment`."""
        super().__init__(process, environment, MOST_REFUSALS, restart)
        self._experience, self._pace = own_end(process, "experience"), pace

    def send(self, fragment: dict[str, Array], version: Version, lost: int = 0) -> None:
        """Send the fragment, or count and drop what would poison the learner.

        `lost` counts the fragments that were dropped before for another reason, with new episodes in all copies.
        """
        restarts = {RESTARTS: self.refused + lost}
        if self.delivered(lambda: self._experience.send(fragment, restarts, version)):
            self._pace.collected(version)


class Actor:
    """The state of one actor process."""

    def __init__(
        self, process: Process, envs: VectorEnvironments, pace: Pace, policy: Policy, rollout: Rollout
    ) -> None:
        """Collect fragments by `rollout`, which acts by `policy`."""
        self._stopping, self._weights = process.stopping.is_set, process.subscriber("weights")
        self._policy, self._rollout, self._spaces = policy, rollout, envs.spaces
        self._pace, self._sending = pace, Sending(process, pace, envs.name, rollout.restart)

    def turn(self) -> None:
        """Wait for weights that are new enough, collect one fragment, send it."""
        start = perf_counter()
        message = self._weights.wait(newer_than=self._pace.newer_than())
        waited, inside = perf_counter(), self._rollout.env_seconds
        weights = Weights.read(message)
        self._policy.load(weights.parameters)
        fragment = self._rollout.collect(over_leaves(weights.standardize, self._spaces), self._stopping)
        acted = perf_counter()
        if fragment is None:
            return
        self._sending.send(fragment, message.version)
        self._sending.report(
            {
                "waiting": waited - start,
                "acting": acted - waited,
                "environment": self._rollout.env_seconds - inside,
                "sending": perf_counter() - acted,
            }
        )


def act(process: Process, config: RolloutConfig, pace: Pace) -> None:
    """Act until told to stop."""
    envs, rng = environments_of(process.wiring, config.network.view)
    steps, copies = config.fragment_steps, int(process.env["copies"])
    with closing(envs):
        check_size(envs.spaces, steps, copies)
        policy = make_policy(make_model(config.network, envs.spaces, config.hidden))
        rollout = Rollout(envs, policy, copies, steps, rng, config.sequence)
        state = Actor(process, envs, pace, policy, rollout)
        while not process.stopping.is_set():
            state.turn()


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
