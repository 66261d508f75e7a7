"""A run in a cluster that never made a step fails after three equal crashes, instead of a week of restarts."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import ChannelWiring
from surreal.protocol.worker.termination import Crashes
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]
Until = Callable[..., None]

ROLES = """
import os, signal

def learner(process):
    if os.environ.get("KILLED"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if os.environ.get("BROKEN"):
        raise ValueError("no such device")
    if os.environ.get("BEGUN"):
        process.session.gauges.set("learner/0", {"steps": 40})
    print("begins", flush=True)
    process.receiver("experience").recv()

def actor(process):
    if os.environ.get("KILLED"):
        os.kill(os.getpid(), signal.SIGSEGV)
    raise ValueError(f"cannot reset environment {os.getpid()}")
"""
PATIENT = """
import sys
from surreal.protocol.membership import member
from surreal.protocol.worker import __main__ as worker
from surreal.protocol.worker.pod import crash
member.JOIN_S, crash.TELL_S = 60.0, 90
sys.exit(worker.main())
"""
"""A worker that has all the time to tell of its crash."""
CHANNELS = (ChannelWiring("experience", "stream", ("actor",), ("learner",), window=4),)
REPLICAS = {"learner": 1, "actor": 1}


def test_equal_crashes_are_counted_for_each_process_and_numbers_do_not_matter() -> None:
    crashes = Crashes()
    assert [crashes.note("actor/0", f"port {number}") for number in range(3)] == [False, False, True]
    assert [crashes.note("actor/1", text) for text in ("a", "a", "b", "a", "a", "a")] == [False] * 5 + [True]


def test_three_equal_crashes_of_an_actor_before_the_first_step_fail_the_run(make_pods: MakePods) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS, prefix=(sys.executable, "-P", "-c", PATIENT))
    learner = pods.start("learner")
    for failures in range(3):
        assert pods.start("actor", failures=failures).wait() == ExitCode.FAILED
    assert learner.wait(120) == ExitCode.FATAL
    assert learner.ending().reason.startswith("actor/0 cannot go on: 3 equal crashes before the first step, the last: ")


def test_three_crashes_that_no_exception_tells_of_fail_the_run_too(make_pods: MakePods) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS, prefix=(sys.executable, "-P", "-c", PATIENT))
    learner = pods.start("learner")
    for failures in range(3):
        assert pods.start("actor", failures=failures, KILLED="1").wait() == 128 + signal.SIGSEGV
    assert learner.wait(120) == ExitCode.FATAL
    reason = learner.ending().reason
    assert reason.startswith("actor/0 cannot go on: 3 equal crashes before the first step, the last: died of SIGSEGV")


def test_the_third_time_that_a_learner_without_a_step_is_killed_is_fatal(make_pods: MakePods) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS)
    assert pods.start("learner", failures=1, KILLED="1").wait() == 128 + signal.SIGSEGV
    third = pods.start("learner", failures=2, KILLED="1")
    assert third.wait() == ExitCode.FATAL
    assert third.ending().reason.startswith("failed 3 times before the first step, at last: died of SIGSEGV")


def test_a_learner_that_is_killed_in_a_run_with_steps_is_started_again(make_pods: MakePods, folder: Path) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS)
    (folder / "learner" / "progress.json").write_text('{"steps": 40}')
    assert pods.start("learner", failures=2, KILLED="1").wait() == 128 + signal.SIGSEGV


def test_crashes_of_an_actor_in_a_run_that_goes_forward_never_fail_it(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS)
    learner = pods.start("learner", BEGUN="1")
    until(lambda: "begins" in learner.log(), "the learner to have begun")
    for failures in range(4):
        assert pods.start("actor", failures=failures).wait() == ExitCode.FAILED
    assert learner.process.poll() is None
    assert "cannot go on" not in learner.log()


def test_the_third_failure_of_a_learner_without_a_step_is_fatal_and_not_the_second(make_pods: MakePods) -> None:
    pods = make_pods(ROLES, REPLICAS, channels=CHANNELS)
    assert pods.start("learner", failures=1, BROKEN="1").wait() == ExitCode.FAILED
    third = pods.start("learner", failures=2, BROKEN="1")
    assert third.wait() == ExitCode.FATAL
    assert third.ending().reason == "failed 3 times before the first step, at last: ValueError: no such device"
