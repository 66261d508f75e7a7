"""Workers that live and do not work, in pods: said to the run, ended by the first process, and left with the reason."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import ChannelWiring
from tests.protocol.pods import MakePods, Pods, make_pods

__all__ = ["make_pods"]
Until = Callable[..., None]

ROLES = """
import os, threading

def learner(process):
    process.receiver("experience").recv()

def actor(process):
    print("acts", flush=True)
    if os.environ.get("STUCK"):
        stuck()
    process.receiver("answers").recv()

def stuck():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
"""
CHANNELS = (
    ChannelWiring("experience", "stream", ("actor",), ("learner",), window=4),
    ChannelWiring("answers", "stream", ("learner",), ("actor",), window=4),
)
LIMIT_S = 8.0


def pods_of(make_pods: MakePods, seconds: float = LIMIT_S) -> Pods:
    return make_pods(ROLES, {"learner": 1, "actor": 1}, channels=CHANNELS, changes={"hang_seconds": seconds})


def still(pods: Pods) -> dict[str, Any]:
    """What the run folder says of processes that do not move."""
    path = Path(pods.folder, "learner", "channels.json")
    return dict(json.loads(path.read_text())["still"]) if path.exists() else {}


def test_a_deadlocked_worker_is_said_ended_and_leaves_where_it_was(make_pods: MakePods, until: Until) -> None:
    pods = pods_of(make_pods)
    learner, actor = pods.start("learner"), pods.start("actor", STUCK="1")
    until(lambda: "acts" in actor.log(), "the actor to run")
    # its first process would end it before a slow learner has said it
    actor.process.send_signal(signal.SIGSTOP)
    until(lambda: "actor/0" in still(pods), "the learner to know")
    assert still(pods)["actor/0"][1].startswith("is inside stuck (roles.py:")
    actor.process.send_signal(signal.SIGCONT)
    assert actor.wait() == ExitCode.FAILED
    ending = actor.ending()
    assert ending.exit == "FAILED" and ending.reason.startswith("it hung: it is inside stuck (roles.py:")
    assert "ended, its stacks follow" in actor.log() and "in stuck" in actor.log().partition("stacks follow")[2]
    assert learner.process.poll() is None, "waiting on a channel is no hang"
    until(lambda: still(pods) == {}, "the learner to know that it is gone")


def test_a_frozen_worker_is_said_by_others_and_ended(make_pods: MakePods, until: Until) -> None:
    pods = pods_of(make_pods)
    learner, actor = pods.start("learner"), pods.start("actor")
    # one that is frozen before it joined is missed by nobody
    until(lambda: "acts" in actor.log() and "actor/0 joined" in learner.log(), "the actor to run")
    actor.process.send_signal(signal.SIGSTOP)
    os.kill(children(actor.process.pid)[0], signal.SIGSTOP)
    until(lambda: "actor/0" in still(pods), "the learner to miss it")
    assert still(pods)["actor/0"][1].startswith("does not answer")
    actor.process.send_signal(signal.SIGCONT)
    assert actor.wait() == ExitCode.FAILED
    assert actor.ending().reason.startswith("it hung: it does not answer (frozen")


@pytest.mark.slow
def test_a_limit_of_0_ends_no_worker(make_pods: MakePods, until: Until) -> None:
    pods = pods_of(make_pods, 0.0)
    pods.start("learner")
    actor = pods.start("actor", STUCK="1")
    until(lambda: "actor/0" in still(pods), "the learner to know")
    assert actor.process.poll() is None


def test_a_stop_of_a_worker_that_hangs_is_a_preemption(make_pods: MakePods, until: Until) -> None:
    pods = pods_of(make_pods, 60.0)
    actor = pods.start("actor", STUCK="1")
    until(lambda: "acts" in actor.log(), "the actor to run")
    actor.process.send_signal(signal.SIGTERM)
    assert actor.wait() == ExitCode.PREEMPTED


def children(pid: int) -> list[int]:
    """Processes that `pid` has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
