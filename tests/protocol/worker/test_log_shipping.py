"""What pods print: all of it in the pod's own log, and over the wire in the run folder, without holding anybody up."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from surreal.orchestrator.run.home import Folder
from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import ChannelWiring
from surreal.protocol.worker import log_shipping as shipping
from surreal.protocol.worker.log_shipping import LogFolder, file_name, ship_lines
from tests.protocol.pods import MakePods, make_pods
from tests.protocol.worker.pod.test_identity import SHARED

__all__ = ["make_pods"]
Until = Callable[..., None]
FLOOD = 40_000
PYTHON = (sys.executable, "-P", "-c")
HASTY = """
import sys
from surreal.protocol.membership import member, server
from surreal.protocol.worker import __main__ as worker
for module in (member, server):
    module.BEAT_INTERVAL_S, module.DEAD_AFTER_S = 0.1, 1.0
sys.exit(worker.main())
"""
PATIENT = """
import sys
from surreal.protocol.worker import __main__ as worker, runner
runner.DRAIN_S = 1000.0
sys.exit(worker.main())
"""
"""A worker that would wait for pods far longer than the test does."""

ROLES = """
import os, sys, threading, time
from surreal.protocol.errors import ExitCode, Fatal

def learner(process):
    print("the learner prints", flush=True)
    while not os.path.exists(process.wiring.run_folder + "/end"):
        process.stopping.wait(0.01)
        process.session.check()
    if os.environ.get("HOW") == "fatal":
        raise Fatal("the config asks for 3 legs")
def actor(process):
    if os.environ.get("HOW") == "fatal":
        while not process.session.control._incarnation:  # until it is known
            time.sleep(0.01)
        raise Fatal("no such environment")
    print("printed by Python", flush=True)
    os.write(1, b"written by C to 1\\n")
    os.write(2, b"written by C to 2\\n")
    os.system("echo printed by a child")
    if os.environ.get("HOW") == "floods":
        for number in range(40_000):
            print("line", number, "x" * 50, flush=True)
        print("the flood is over", flush=True)
    process.stopping.wait()
    print("the last line", flush=True)
"""


def test_everything_that_a_pod_prints_is_in_its_log_and_in_the_run_folder(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 2})
    learner = pods.start("learner")
    actors = [pods.start("actor", 0), pods.start("actor", 1, failures=3)]
    names = ("actor-0.100000.log", "actor-1.100003.log")
    until(lambda: all("by a child" in pods.shipped(name) for name in names), "the lines to arrive")
    (pods.folder / "learner" / "end").touch()
    assert [pod.wait() for pod in (learner, *actors)] == [ExitCode.DONE] * 3
    for actor, name in zip(actors, names, strict=True):
        wanted = ["by Python", "by C to 1", "by C to 2", "by a child", "(the run is over", "the last line"]
        assert [words for words in wanted if words not in actor.log()] == []
        assert pods.shipped(name) == actor.log()[: len(pods.shipped(name))]
        assert "ends: done" in pods.shipped(name)
    own = pods.shipped("learner-0.100000.log")
    assert "the learner prints" in own and "actor/1 joined" in own and "learner/0 ends: done" in own
    assert Folder(Path("x")).process_log("actor", 1, 3).name == file_name("actor", 1, 3)


def test_a_crash_costs_the_run_folder_no_line_that_had_half_a_second(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1})
    learner, actor = pods.start("learner"), pods.start("actor")
    until(lambda: "by a child" in pods.shipped("actor-0.100000.log"), "its lines")
    os.killpg(actor.process.pid, signal.SIGKILL)
    actor.wait()
    pods.start("actor", failures=1)
    until(lambda: "by a child" in pods.shipped("actor-0.100001.log"), "the lines of its successor")
    os.killpg(learner.process.pid, signal.SIGKILL)
    learner.wait()
    pods.start("learner", failures=1)
    until(lambda: "the learner prints" in pods.shipped("learner-0.100001.log"), "the learner to be back")
    (pods.folder / "learner" / "end").touch()
    until(lambda: "the last line" in pods.shipped("actor-0.100001.log"), "lines to the new learner")


def test_a_flood_of_lines_stalls_nobody_and_what_is_missing_is_said(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1})
    actor = pods.start("actor", HOW="floods")  # while there is no learner that would take them
    until(lambda: "the flood is over" in actor.log(), "the flood")
    assert actor.log().count("\nline ") == FLOOD
    pods.start("learner")
    until(lambda: pods.shipped("actor-0.100000.log"), "lines")
    (pods.folder / "learner" / "end").touch()
    assert actor.wait() == ExitCode.DONE
    until(lambda: "the last line" in pods.shipped("actor-0.100000.log"), "the end")
    shipped = pods.shipped("actor-0.100000.log")
    assert shipped.count("\nline ") == FLOOD or "lines were lost on the way" in shipped or "too fast" in shipped


def test_a_learner_that_can_never_succeed_tells_the_others(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1})
    actor = pods.start("actor")
    learner = pods.start("learner", HOW="fatal")
    until(lambda: "actor/0 joined" in learner.log(), "the actor")
    (pods.folder / "learner" / "end").touch()
    assert learner.wait() == ExitCode.FATAL and actor.wait() == ExitCode.DONE
    assert "(the run failed: the config asks for 3 legs" in actor.log()
    assert "the config asks for 3 legs" in pods.shipped("learner-0.100000.log")


@pytest.mark.parametrize("lossy", [False, True])
def test_an_actor_that_can_never_succeed_ends_the_run_if_that_needs_it(
    make_pods: MakePods, until: Until, lossy: bool
) -> None:
    channel = ChannelWiring("experience", "stream", ("actor",), ("learner",), lossy=lossy)
    pods = make_pods(ROLES, {"learner": 1, "actor": 2}, channels=(channel,))
    learner, other = pods.start("learner"), pods.start("actor", 1)
    until(lambda: "actor/1 joined" in learner.log(), "the other actor")
    broken = pods.start("actor", 0, HOW="fatal")
    assert broken.wait() == ExitCode.FATAL, broken.log()
    if lossy:
        (pods.folder / "learner" / "end").touch()
        assert (learner.wait(), other.wait()) == (ExitCode.DONE, ExitCode.DONE)
        return
    assert (learner.wait(), other.wait()) == (ExitCode.FATAL, ExitCode.DONE)
    why = "actor/0 cannot go on: no such environment"
    assert (learner.ending().exit, learner.ending().reason) == ("FATAL", why)
    assert f"ends: done (the run failed: {why})" in other.log()


def test_a_pod_that_starts_as_the_run_ends_hears_of_it(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 2})
    learner, first = pods.start("learner"), pods.start("actor", 0)
    until(lambda: "actor/0 joined" in learner.log(), "the first actor")
    (pods.folder / "learner" / "end").touch()
    assert first.wait() == ExitCode.DONE
    assert learner.process.poll() is None
    second = pods.start("actor", 1)
    assert second.wait() == learner.wait() == ExitCode.DONE
    assert "(the run is over" in second.log()


def test_of_two_pods_with_one_index_the_newer_one_stays(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1})
    learner, newer = pods.start("learner"), pods.start("actor", failures=1)
    until(lambda: "actor/0 joined: incarnation 100001" in learner.log(), "the newer one")
    older = pods.start("actor")
    assert older.wait() == ExitCode.FATAL
    assert "actor/0 was turned away: actor/0 incarnation 100000 was replaced by incarnation 100001" in older.log()
    (pods.folder / "learner" / "end").touch()
    assert (newer.wait(), learner.wait()) == (ExitCode.DONE, ExitCode.DONE)


def test_a_signal_does_not_wait_for_pods_that_never_start(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1}, prefix=(*PYTHON, PATIENT))
    learner = pods.start("learner")
    (pods.folder / "learner" / "end").touch()
    until(lambda: "learner/0 ends: done" in learner.log(), "the end of the run")
    learner.process.send_signal(signal.SIGTERM)
    assert learner.wait() == ExitCode.DONE


def test_a_pod_without_a_learner_waits_and_ends_by_a_signal(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, {"learner": 1, "actor": 1}, changes={"logs": False}, prefix=(*PYTHON, HASTY))
    actor = pods.start("actor")
    until(lambda: "printed by a child" in actor.log(), "the actor")
    until(lambda: "which may not have started yet; waiting" in actor.log(), "word of it")
    actor.process.send_signal(signal.SIGTERM)
    assert actor.wait() == ExitCode.PREEMPTED
    assert "the last line" in actor.log()


def shipped(lines: list[bytes], take: Callable[[bytes], bool]) -> list[bytes]:
    """What `ship_lines` delivers of what is written into its pipe, each part as soon as the one before was taken."""
    ours, theirs = os.pipe()
    delivered: list[bytes] = []
    done = threading.Event()

    def deliver(data: bytes) -> bool:
        delivered.append(data)
        done.set()
        return take(data)

    thread = threading.Thread(target=ship_lines, args=(ours, deliver))
    thread.start()
    for line in lines:
        done.clear()
        os.write(theirs, line)
        if b"\n" in line or len(line) >= shipping.BATCH_BYTES:
            assert done.wait(120)
    os.close(theirs)
    thread.join(120)
    assert not thread.is_alive()
    return delivered


def test_lines_travel_whole_and_long_ones_are_cut() -> None:
    assert shipped([b"one\ntwo\nthr", b"ee\n"], lambda data: True) == [b"one\ntwo\n", b"three\n"]
    long = b"x" * shipping.BATCH_BYTES
    assert shipped([long], lambda data: True)[0] == long
    assert b"".join(shipped([b"one\nhalf"], lambda data: True)) == b"one\nhalf\n"


def test_lost_lines_are_counted_in_the_next_that_arrive() -> None:
    answers = iter([False, True, True, True])
    delivered = shipped([b"one\ntwo\n", b"three\n"], lambda data: next(answers))
    assert delivered[1:] == [b"(2 lines were lost on the way)\n", b"three\n"]


def test_the_last_lines_are_offered_again_because_nothing_follows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = iter([False, False, True])
    assert shipped([b"half"], lambda data: next(refused)) == [b"half\n"] * 3
    monkeypatch.setattr(shipping, "FLUSH_TIMEOUT_S", 0.1)
    assert set(shipped([b"half"], lambda data: False)) == {b"half\n"}


def test_a_log_folder_takes_what_processes_of_the_run_say_up_to_its_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "MAX_FILE_BYTES", 20)
    monkeypatch.setattr(shipping, "MAX_FILES", 2)
    folder = LogFolder(replace(SHARED, run_folder=str(tmp_path)))
    assert not any(folder.write(name, 1, b"x") for name in ("actor/4", "../actor/1", "learner", "spy/0", "actor/-1"))
    assert folder.write("actor/1", 1, b"123456789\n") and folder.write("actor/1", 1, b"too long for it\n")
    assert not folder.write("actor/1", 1, b"no more\n")
    assert folder.write("actor/1", 2, b"of another start\n")
    assert not folder.write("actor/1", 3, b"one file too many\n")
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert logs == {
        "actor-1.1.log": "123456789\n(the log is full, 20 bytes; the pod's own goes on)\n",
        "actor-1.2.log": "of another start\n",
    }
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "logs").iterdir()} == {0o600}
