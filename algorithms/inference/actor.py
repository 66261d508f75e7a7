"""Actor with central inference: environments only, without a network; fragments out, answers in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from time import perf_counter

import numpy as np

from surreal.algorithms.datasets.writing.actors import recording_of
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import View
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.inference.asking import Asking
from surreal.algorithms.inference.graph import CENTRAL, group_sizes
from surreal.algorithms.inference.rollout import CentralRollout, Collected, Group
from surreal.algorithms.models.actor_critic import make_model
from surreal.algorithms.networks import bounded
from surreal.algorithms.rollouts.actor import Pace, Sending
from surreal.algorithms.rollouts.actor import act as act_locally
from surreal.algorithms.rollouts.config import RolloutConfig
from surreal.algorithms.rollouts.fragment import check_size
from surreal.protocol.errors import Fatal
from surreal.protocol.service.rows import CallError
from surreal.protocol.wire.packet import Version
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.process import Process


def grouped_environments(wiring: Wiring, view: View) -> list[VectorEnvironments]:
    """Return the copies that an actor steps, in groups, each with seeds of its own."""
    env, sizes = wiring.env, group_sizes(int(wiring.env["copies"]))
    # One seed sequence per (actor, start): a restarted actor must not replay the episodes of the dead one.
    seeds = np.random.SeedSequence([wiring.seed, 1, wiring.index, wiring.start]).generate_state(len(sizes))
    stepping, around = env.get("stepping", "auto"), recording_of(wiring)
    return [
        VectorEnvironments(lambda: make_env(env, wiring.code, view, around=around), size, int(seed), stepping)
        for size, seed in zip(sizes, seeds, strict=True)
    ]


@contextmanager
def central_environments(wiring: Wiring, view: View) -> Iterator[list[VectorEnvironments]]:
    """Give the groups of copies of an actor, and close them."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(each)) for each in grouped_environments(wiring, view)]


def asked(rollout: CentralRollout, newer_than: Version | None, stopping: Callable[[], bool]) -> Collected | None:
    """Return the next fragment, as `CentralRollout.collect` does. Raises Fatal where questions are refused."""
    try:
        return rollout.collect(newer_than, stopping)
    except CallError as error:
        raise Fatal(
            f"inference: refuses this actor: {error}. Give actors and inference the same config and environment."
        ) from None


def grouped(process: Process, envs: list[VectorEnvironments]) -> list[Group]:
    """Return the groups of an actor, which ask its replica."""
    replicas, sizes = process.clients("inference").shards, group_sizes(int(process.wiring.env["copies"]))
    return [
        Group(each, Asking(replicas, process.wiring.index, number), sum(sizes[:number]), sizes[number])
        for number, each in enumerate(envs)
    ]


class CentralActor:
    """State of one actor process."""

    def __init__(self, process: Process, config: RolloutConfig, pace: Pace, envs: list[VectorEnvironments]) -> None:
        spaces, copies = envs[0].spaces, int(process.wiring.env["copies"])
        check_size(spaces, config.fragment_steps, copies)
        layout, self._groups = make_model(config.network, spaces, config.hidden), grouped(process, envs)
        onto_bounds = bounded(spaces.onto_bounds, layout.squash)
        self._rollout = CentralRollout(
            self._groups, onto_bounds, config.fragment_steps, config.sequence, layout.state_size
        )
        self._pace, self._stopping = pace, process.stopping.is_set
        self._sending = Sending(process, pace, envs[0].name, self._rollout.restart)

    def turn(self) -> None:
        """Collect one fragment by weights that are new enough, send it. Raises Fatal where questions are refused."""
        start, inside, waited = perf_counter(), self._rollout.env_seconds, self._waited()
        found = asked(self._rollout, self._pace.newer_than(), self._stopping)
        acted = perf_counter()
        if found is None:
            return
        self._sending.send(found.arrays, found.version, self._rollout.lost)
        spent = {
            "waiting": self._waited() - waited,
            "environment": self._rollout.env_seconds - inside,
            "sending": perf_counter() - acted,
        }
        moves = sum(group.asking.moves for group in self._groups)
        self._sending.report(
            {**spent, "acting": acted - start - spent["waiting"] - spent["environment"]},
            {"fragments_lost": self._rollout.lost, "replica_moves": moves},
        )

    def _waited(self) -> float:
        return sum(group.asking.wait_seconds for group in self._groups)


def act(process: Process, config: RolloutConfig, pace: Pace) -> None:
    """Act until told to stop, by a policy here or by the role `inference`, as the config says."""
    if config.inference != CENTRAL:
        act_locally(process, config, pace)
        return
    with central_environments(process.wiring, config.network.view) as envs:
        state = CentralActor(process, config, pace, envs)
        while not process.stopping.is_set():
            state.turn()
