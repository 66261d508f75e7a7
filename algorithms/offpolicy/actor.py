"""Roles that step environments: the actor, which explores and fills replay, and the evaluator, which does neither."""

from contextlib import closing
from time import perf_counter

import numpy as np

from surreal.algorithms.acting.actors import Refusals, environments_of
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.offpolicy.exploration import Place, RandomActions, make_exploration
from surreal.algorithms.offpolicy.method import Method, method_of
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.offpolicy.rollout import Fragment, Rollout
from surreal.algorithms.recording.reports import Shares
from surreal.protocol.errors import Fatal
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process

REPORT_EVERY = 5.0
"""Seconds between two reports of time shares."""
MOST_REFUSALS = 200
"""Refused fragments in a row after which the environment is taken for broken."""


class Actor:
    """State of one actor process."""

    def __init__(self, process: Process, method: Method, envs: VectorEnvironments, rng: np.random.Generator) -> None:
        wiring, config = process.wiring, method.config
        copies = int(wiring.env["copies"])
        self._stopping = process.stopping.is_set
        self._weights, self._experience = process.subscriber("weights"), process.sender("experience")
        self._episodes, self._metrics = process.sender("episodes"), process.sender("metrics")
        self._policy = ActingPolicy(method.shape(envs.spaces))
        place = Place(wiring.index, wiring.replicas["actor"])
        self._explore = make_exploration(config, self._policy, copies, rng, place)
        self._random = RandomActions(self._policy, copies, rng)
        self._rollout, self._reported = Rollout(envs, copies, config.fragment_steps), perf_counter()
        if envs.masks is not None:
            raise Fatal(
                f"algorithm.name: {method.name!r} knows no masks of choices, and {envs.name!r} has some. Use ppo."
            )
        self._refusals = Refusals(envs.name, MOST_REFUSALS, self._rollout.restart)
        self._shares = Shares("waiting", "acting", "environment", "sending")

    def turn(self) -> None:
        """Take the newest weights, collect one fragment, send it."""
        start = perf_counter()
        message = self._weights.latest() or self._weights.wait()
        waited, inside = perf_counter(), self._rollout.env_seconds
        fragment = self._collect(Weights.read(message))
        acted = perf_counter()
        if fragment is None:
            return
        self._send(fragment, message)
        self._shares.add("waiting", waited - start)
        self._shares.add("acting", acted - waited)
        self._shares.add("environment", self._rollout.env_seconds - inside)
        self._shares.add("sending", perf_counter() - acted)
        self._report()

    def _collect(self, weights: Weights) -> Fragment | None:
        self._policy.load(weights.parameters)
        # Version 0 is of weights that have learned nothing: uniform actions say more about the environment.
        explore = self._explore if weights.version[1] else self._random
        return self._rollout.collect(explore, weights.standardize, self._stopping)

    def _send(self, fragment: Fragment, message: Message) -> None:
        """Send the fragment, or count and drop what would poison the learner: NaN and infinity."""
        try:
            self._experience.send(fragment.arrays, {}, message.version)
        except NotFiniteError as error:
            self._refusals.refuse(error)
            return
        self._refusals.sent()
        if len(fragment.returns):
            self._episodes.send({"returns": fragment.returns, "lengths": fragment.lengths})

    def _report(self) -> None:
        """Report every few seconds where the time went."""
        if perf_counter() - self._reported > REPORT_EVERY:
            row = {**self._shares.read(), **self._explore.metrics(), "refused_fragments": self._refusals.total}
            self._metrics.send({}, row)
            self._reported = perf_counter()


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
        policy, scaled = ActingPolicy(method.shape(env.spaces)), env.spaces.onto_bounds

        def load(message: Message) -> Act:
            weights = Weights.read(message)
            policy.load(weights.parameters)
            return lambda features: scaled(policy.best(policy.forward(weights.standardize(features))))

        config = method.config
        every, cap = config.evaluate_every_seconds, config.evaluation_episode_cap
        evaluate_on_clock(process, env, load, every, config.evaluate_episodes, cap)
