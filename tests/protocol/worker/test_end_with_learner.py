"""Actors whose learner ends in the same moment: they answer SIGTERM all the same, and soon."""

import os
import signal
import time

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import ChannelWiring
from tests.protocol.pods import MakePods, Pods, make_pods

__all__ = ["make_pods"]

ROLES = """
import time
import numpy as np

def learner(process):
    weights, experience = process.publisher("weights"), process.receiver("experience")
    metrics = process.receiver("metrics")
    version = 0
    while True:
        version += 1
        weights.publish({"w": np.zeros(20_000)}, {}, version)
        experience.recv()

def stuck(process):
    from surreal.protocol.transport.node import Node
    Node.close = lambda self: time.sleep(60)
    actor(process)

def actor(process):
    weights, experience = process.subscriber("weights"), process.sender("experience")
    metrics = process.sender("metrics")
    newest = None
    print("acts", flush=True)
    while True:
        newest = weights.wait(newer_than=newest).version if process.wiring.index else weights.wait().version
        experience.send({"x": np.zeros(50_000)}, {}, newest)
        metrics.send({}, {"steps_per_second": 1.0})
        print("line", flush=True)
"""
CHANNELS = (
    ChannelWiring("experience", "stream", ("actor",), ("learner",), window=4),
    ChannelWiring("metrics", "stream", ("actor",), ("learner",), window=16, lossy=True),
    ChannelWiring("weights", "broadcast", ("learner",), ("actor",)),
)
ACTORS = 5
LIMIT_S = 50.0
"""Seconds in which an actor has to be gone: two, and more where the machine is busy. One that cannot leave takes 60."""


def end_together(pods: Pods, learner_signal: int, count: int = ACTORS) -> list[float]:
    """Signal all pods in one moment; return the seconds after which each actor was gone."""
    learner = pods.start("learner")
    actors = [pods.start("actor", index) for index in range(count)]
    deadline = time.monotonic() + 120
    while any(actor.log().count("line") < 5 for actor in actors):
        assert time.monotonic() < deadline, actors[0].log()
        time.sleep(0.05)
    os.killpg(learner.process.pid, learner_signal)
    began = time.monotonic()
    for actor in actors:
        os.kill(actor.process.pid, signal.SIGTERM)
    took = []
    for actor in actors:
        code = actor.wait()
        took.append(time.monotonic() - began)
        assert code == ExitCode.PREEMPTED, actor.log()
    learner.wait()
    return took


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_actors_answer_a_signal_that_comes_with_the_death_of_their_learner(
    make_pods: MakePods, how: signal.Signals
) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": ACTORS}, channels=CHANNELS)
    took = [*end_together(pods, how), *end_together(pods, how)]
    assert max(took) < LIMIT_S, took


def test_an_actor_that_cannot_leave_the_run_ends_all_the_same(make_pods: MakePods) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 2}, channels=CHANNELS, functions={"actor": "stuck"})
    took = end_together(pods, signal.SIGKILL, count=1)
    assert max(took) < LIMIT_S, took
