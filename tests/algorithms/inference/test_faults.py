"""Actors and replicas are killed again and again: every fragment still is what its policy did from its first state.

The learner is this test. It publishes one version of the weights and recomputes the probabilities of all fragments
from the state that each begins with. Memory that leaked from one episode, life or actor into another would show.
"""

import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.models.acting import make_policy
from surreal.algorithms.models.config import MemoryConfig, NetworkConfig
from surreal.algorithms.normalizers import Standardizer, standardized_size
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.types import Array
from surreal.protocol.graph import METRICS
from surreal.protocol.stream.receiver import StreamReceiver
from surreal.protocol.wire.packet import Message
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session
from tests.algorithms.inference.central import layout_of, run_of

POLE = {"id": "CartPole-v1", "wrappers": [{"time_limit": 9}]}
CONFIG = IMPALAConfig(
    inference="central", device="cpu", fragment_steps=10, network=NetworkConfig(memory=MemoryConfig(size=6))
)
ACTORS, COPIES, STEPS = 2, 4, 10


class Judge:
    """The learner of the run: weights out, fragments in, each of them recomputed."""

    def __init__(self, process: Process) -> None:
        self.layout, vector = layout_of(CONFIG, POLE)
        self._policy = make_policy(self.layout)
        self._policy.load(vector)
        self._check = FragmentCheck(self.layout.spaces, STEPS, COPIES, (1, self.layout.state_size))
        self.experience: StreamReceiver = process.receiver("experience")
        self._metrics = process.receiver(METRICS)
        plain = Standardizer.identity(standardized_size(self.layout.spaces))
        Weights((1, 0), vector, plain, 0, False).publish(process.publisher("weights"))
        self.lives: Counter[tuple[str, int]] = Counter()
        self._last: dict[tuple[str, int], tuple[Array, Array]] = {}
        self.reports: dict[str, dict[str, Any]] = {}

    def take(self, count: int) -> None:
        """Judge the next fragments."""
        for _ in range(count):
            message = self.experience.recv(timeout=120)
            assert message is not None, "no fragment came for a minute"
            self.judge(message)
        while (message := self._metrics.recv(timeout=0)) is not None:
            self.reports.setdefault(message.sender, {}).update(message.meta)

    def judge(self, message: Message) -> None:
        """Recompute a fragment's probabilities from its first state; compare its begin with the fragment before."""
        arrays, life = message.arrays, (message.sender, message.incarnation)
        assert self._check.problem(arrays) == ""
        state = np.array(arrays["states"][0])
        for t in range(STEPS):
            out, state = self._policy.advance(arrays["observations"][t], state)
            found = self._policy.log_prob(out, arrays["actions"][t])
            np.testing.assert_allclose(found, arrays["log_probs"][t], atol=1e-4)
            state[arrays["terminated"][t] | arrays["truncated"][t]] = 0.0
        goes_on = self._last.get(life)
        same = goes_on is not None and np.array_equal(goes_on[1], arrays["observations"][0])
        # A fragment that goes on has the memory after the one before, or none where a replica died between the two.
        # Any other one begins new episodes.
        kept = goes_on is not None and same and arrays["states"][0].any()
        expected = goes_on[0] if goes_on is not None and kept else np.zeros_like(state)
        np.testing.assert_allclose(arrays["states"][0], expected, atol=1e-4)
        self._last[life] = (state, np.array(arrays["observations"][-1]))
        self.lives[life] += 1


def killed(folder: Path, actors: int, replicas: int) -> tuple[Judge, int]:
    """Kill so many actors and replicas in random order, with fragments in between."""
    victims = ["actor"] * actors + ["inference"] * replicas
    random.Random(1).shuffle(victims)
    with run_of(folder, CONFIG, POLE, COPIES, ACTORS) as run, Session(run._wiring("learner", 0, 1)) as session:
        judge = Judge(Process(session))
        for role in ("actor", "inference"):
            for index in range(run.replicas[role]):
                run.start(role, index)
        judge.take(4)
        for number, role in enumerate(victims):
            index = number % run.replicas[role]
            worker = run.workers[f"{role}-{index}"]
            worker.kill()
            worker.wait()
            run.start(role, index)
            judge.take(6)
        # all actors go on: none waits for an answer that will never come
        newest = {sender: max(life for name, life in judge.lives if name == sender) for sender, _ in judge.lives}
        # seconds and not fragments: where cores are busy the others send hundreds while one begins
        end = time.monotonic() + 90
        while min(judge.lives[f"actor/{index}", run._incarnations[f"actor-{index}"]] for index in range(ACTORS)) <= 2:
            assert time.monotonic() < end, f"an actor stands still: {newest}, {judge.lives}"
            judge.take(1)
        assert all("Traceback" not in run.log(f"{name}-0") for name in ("actor", "inference"))
    return judge, sum(run._incarnations[f"actor-{index}"] for index in range(ACTORS))


def test_no_memory_leaks_and_all_go_on_after_the_kill_of_an_actor_and_of_a_replica(folder: Path) -> None:
    judge, starts = killed(folder, actors=1, replicas=1)
    assert starts == ACTORS + 1
    assert len({sender for sender, _ in judge.lives}) == ACTORS


@pytest.mark.slow
def test_no_memory_leaks_and_all_go_on_after_a_hundred_kills_of_actors_and_twenty_of_replicas(folder: Path) -> None:
    judge, starts = killed(folder, actors=100, replicas=20)
    assert starts == ACTORS + 100
    assert sum(judge.lives.values()) > 600
