"""Inference role: one replica, which answers the actors that ask it, in batches by size or by time."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from logging import getLogger
from time import monotonic
from typing import Any

import numpy as np

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces, View
from surreal.algorithms.inference.answering import Answering, QuestionCheck
from surreal.algorithms.inference.graph import batch_size, group_sizes
from surreal.algorithms.inference.sessions import Key, OutdatedError, Session, Sessions
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.models.config import NetworkConfig
from surreal.algorithms.models.device_acting import acting_policy
from surreal.algorithms.networks import Layout, Policy
from surreal.algorithms.normalizers import over_leaves
from surreal.algorithms.rollouts.config import ActingConfig
from surreal.protocol.errors import Fatal
from surreal.protocol.profiling.spans import NUMERIC, operation
from surreal.protocol.service.requests import Batch, Request
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

log = getLogger(__name__)
IDLE_SECONDS = 0.02
"""Longest wait for questions before newer weights are looked for."""
HOLD_SECONDS = 1.0
"""Time that a question waits for weights before it is told to ask again: a client tells the slow from the dead."""
REPORT_SECONDS = 5.0


class Replica:
    """State of one process of the role."""

    def __init__(self, process: Process, layout: Layout, config: ActingConfig, policy: Policy) -> None:
        """Answer by `policy`, whose network is `layout`."""
        wiring, self._spaces, self._process = process.wiring, layout.spaces, process
        copies, actors = int(wiring.env["copies"]), wiring.replicas["actor"]
        self.batch = batch_size(config, actors, copies, wiring.replicas[wiring.role], wiring.index)
        self._requests = max(1, self.batch // group_sizes(copies)[0])
        self._wait, self._size = config.inference_wait_ms / 1000, layout.size
        self._known = wiring.has
        self._weights, self._server = process.subscriber("weights"), process.server("inference")
        self.answering = Answering(policy, process.rng)
        self.sessions, self._check = Sessions(layout.state_size), QuestionCheck(layout.spaces, copies)
        self._held: list[Request] = []
        self._gauges = Gauges(self.batch)

    def turn(self) -> None:
        """Take newer weights, answer what has come and what has waited for them."""
        if self._held:
            self._process.wait([self._server, self._weights], HOLD_SECONDS / 4)
        self._take_weights()
        batch = self._server.gather(self._requests, self._wait, 0.0 if self._held else IDLE_SECONDS)
        held, self._held = self._held, []
        self.answer([*held, *batch])
        if monotonic() - self._gauges.since > REPORT_SECONDS:
            self._process.report({**self._gauges.read(), "sessions": len(self.sessions)})

    def _take_weights(self) -> None:
        """Load the newest weights. Raises Fatal for those of another network."""
        message = self._weights.latest()
        if message is None or message.version == self.answering.version:
            return
        weights = Weights.read(message)
        if weights.parameters.shape != (self._size,):
            raise Fatal(
                f"weights: {weights.parameters.size:,} parameters do not fit the network here, which has "
                f"{self._size:,}. Give learner and inference the same config and environment."
            )
        standardize = over_leaves(weights.standardize, self._spaces)
        self.answering.load(weights.parameters, standardize, message.version)

    def answer(self, requests: Iterable[Request]) -> None:
        """Answer requests: those of new steps together, repetitions with the answer that they had."""
        again: list[tuple[Request, Session]] = []
        groups: dict[Any, list[tuple[Request, Session, bool]]] = defaultdict(list)
        for request in requests:
            if not self._admit(request):
                continue
            key, step = Key(request.sender, request.meta["group"]), request.meta["step"]
            try:
                known = self.sessions.find(key, request.incarnation, step)
            except OutdatedError as error:
                request.fail(str(error))
                continue
            if known is not None:
                again.append((request, known))
                continue
            session, fresh = self.sessions.begin(key, request.incarnation, step, request.arrays["first"])
            form = tuple((name, array.dtype, array.shape) for name, array in sorted(request.arrays.items()))
            groups[form].append((request, session, fresh))
        for members in groups.values():
            self._compute(members)
        for request, session in again:
            self._send([request], [session])

    def _admit(self, request: Request) -> bool:
        """Return True for a request that can be answered now; others are refused, or held until weights are there."""
        meta = request.meta
        problem = "" if self._known(request.sender) else f"{request.sender!r} is no process of this run"
        problem = problem or self._check.problem(request.arrays, meta)
        if problem:
            request.fail(problem)
        elif self.answering.version <= _version(meta.get("newer_than")):
            if monotonic() - request.arrived < HOLD_SECONDS:
                self._held.append(request)
            else:
                request.reply({}, {"wait": True})
        else:
            return True
        return False

    def _compute(self, members: list[tuple[Request, Session, bool]]) -> None:
        requests, sessions, fresh = zip(*members, strict=True)
        with operation("inference", NUMERIC):
            self.answering.answer([request.arrays for request in requests], sessions, fresh)
        self._send(requests, sessions)
        self._gauges.answered(requests, sum(len(session.state) for session in sessions))

    def _send(self, requests: Iterable[Request], sessions: Iterable[Session]) -> None:
        """Send the answers of sessions, which have one."""
        found = [session.answer for session in sessions if session.answer is not None]
        rows = {name: np.stack([answer.arrays[name] for answer in found]) for name in found[0].arrays}
        Batch.of(requests).reply(rows, {}, found[0].version)


def _version(asked: Any) -> Version:
    """Return the version that weights must exceed, as a question says it: any weights for what is none."""
    if isinstance(asked, list) and len(asked) == 2 and all(type(part) is int for part in asked):
        return (asked[0], asked[1])
    return (0, -1)


class Gauges:
    """Numbers of the time since the last report."""

    def __init__(self, batch: int) -> None:
        self._batch, self.since = batch, monotonic()
        self._sizes: list[int] = []
        self._latencies: list[float] = []

    def answered(self, requests: Iterable[Request], copies: int) -> None:
        """Note a batch that was answered just now."""
        now = monotonic()
        self._sizes.append(copies)
        self._latencies += [now - request.arrived for request in requests]

    def read(self) -> dict[str, float]:
        """Return fill of the batches, answers a second, and milliseconds from a question's arrival to its answer."""
        now, copies = monotonic(), sum(self._sizes)
        row = {"actions_per_second": copies / max(now - self.since, 1e-9)}
        if self._sizes:
            p50, p99 = np.percentile(self._latencies, [50, 99]) * 1000
            row |= {"batch_fill": copies / len(self._sizes) / self._batch, "latency_p50_ms": p50, "latency_p99_ms": p99}
        self._sizes, self._latencies, self.since = [], [], now
        return row


def inference(process: Process) -> None:
    """Answer by a policy over actions until told to stop."""
    network, hidden = NetworkConfig(**process.config["network"]), process.config["hidden"]
    layout = make_model(network, spaces_of(process, network.view), hidden)
    policy = acting_policy(layout, make_policy(layout), process.config["device"], process.wiring.index)
    answer(process, layout, policy)


def spaces_of(process: Process, view: View) -> Spaces:
    """Return the spaces of the environment that the actors step."""
    with closing(make_env(process.wiring.env, process.wiring.code, view)) as env:
        return env.spaces


def answer(process: Process, layout: Layout, policy: Policy) -> None:
    """Answer by `policy`, whose network is `layout`, until told to stop."""
    config = ActingConfig(**{name: process.config[name] for name in ActingConfig.model_fields})
    replica = Replica(process, layout, config, policy)
    log.info("answering %d copies at once", replica.batch)
    while not process.should_stop:
        replica.turn()
