"""The actor: environments only, acting in numpy (no torch in this process); fragments out, weights in."""

from logging import getLogger
from time import perf_counter

import numpy as np

from surreal.algorithms.environments import Environments, make_env
from surreal.algorithms.metrics import Shares
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.rollout import Rollout
from surreal.algorithms.ppo.weights import Weights
from surreal.algorithms.types import Array
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
REPORT_EVERY = 5.0
"""Seconds between two reports of time shares."""


class Pace:
    """Which weights the next fragment needs, so that the learner never sees one too stale.

    A fragment that the learner will use at update `due` may be collected with a version `max_staleness` older.
    """

    def __init__(self, max_staleness: int) -> None:
        self._max_staleness = max_staleness
        self._epoch, self._due = -1, 0

    def newer_than(self) -> Version | None:
        """The version that the next weights must exceed; None before the first."""
        return None if self._epoch < 0 else (self._epoch, self._due - self._max_staleness - 1)

    def collected(self, version: Version) -> None:
        """A fragment was collected with `version`: the next is due one update later."""
        epoch, number = version
        if epoch != self._epoch:  # a restarted learner counts anew from its checkpoint
            self._epoch, self._due = epoch, number
        self._due = max(self._due, number) + 1


class Actor:
    """The state of one actor process."""

    def __init__(self, process: Process) -> None:
        wiring = process.wiring
        config, copies = PPOConfig(**wiring.config), int(wiring.env["copies"])
        self._stopping = process.stopping.is_set
        self._weights, self._experience = process.subscriber("weights"), process.sender("experience")
        self._metrics = process.sender("metrics")
        # one seed sequence per (actor, start): a restarted actor must not replay the episodes of the dead one
        env_seed, policy_seed = np.random.SeedSequence([wiring.seed, 1, wiring.index, wiring.start]).spawn(2)
        env = wiring.env
        self.envs = Environments(
            lambda: make_env(env["id"], env["options"]), copies, int(env_seed.generate_state(1)[0])
        )
        self._policy = Policy(Shape(self.envs.spaces, tuple(config.hidden)))
        rng = np.random.default_rng(policy_seed)
        self._rollout = Rollout(self.envs, self._policy, copies, config.fragment_steps, rng)
        self._pace, self._refused, self._reported = Pace(config.max_staleness), 0, perf_counter()
        self._shares = Shares("waiting", "acting", "environment", "sending")

    def turn(self) -> None:
        """Wait for weights that are new enough, collect one fragment, send it."""
        start = perf_counter()
        message = self._weights.wait(newer_than=self._pace.newer_than())
        waited, inside = perf_counter(), self._rollout.env_seconds
        weights = Weights.read(message)
        self._policy.load(weights.parameters)
        fragment = self._rollout.collect(weights.standardize, self._stopping)
        acted = perf_counter()
        if fragment is None:
            return
        self._send(fragment, message)
        self._shares.add("waiting", waited - start)
        self._shares.add("acting", acted - waited)
        self._shares.add("environment", self._rollout.env_seconds - inside)
        self._shares.add("sending", perf_counter() - acted)
        self._report()

    def _send(self, fragment: dict[str, Array], message: Message) -> None:
        """Send the fragment, or count and drop what would poison the learner: NaN and infinity."""
        try:
            self._experience.send(fragment, {"episodes": self._rollout.episodes(fragment)}, message.version)
        except NotFiniteError as error:
            self._refused += 1
            text = "an environment is broken: %s; fragment refused, environments reset (%d so far)"
            log.warning(text, error, self._refused)
            self._rollout.restart()
        else:
            self._pace.collected(message.version)

    def _report(self) -> None:
        """Every few seconds, where the time went."""
        if perf_counter() - self._reported > REPORT_EVERY:
            self._metrics.send({}, {**self._shares.read(), "refused_fragments": self._refused})
            self._reported = perf_counter()


def actor(process: Process) -> None:
    """Act until told to stop."""
    state = Actor(process)
    while not process.stopping.is_set():
        state.turn()
    state.envs.close()
