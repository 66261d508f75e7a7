"""The first process of a pod: exit codes, signals, last lines and last words, whatever becomes of the worker."""

import os
import signal
import sys
from collections.abc import Callable

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.termination import MAX_BYTES, TerminationMessage
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]
Until = Callable[..., None]

ROLES = """
import os, signal, sys, time
from surreal.protocol.errors import ExitCode, Fatal

def learner(process):
    how = os.environ["HOW"]
    print("begins", flush=True)
    if how == "returns":
        process.session.gauges.set("learner/0", {"steps": 40, "total_steps": 100, "episode_return": 7.5, "other": 1})
    elif how == "fatal":
        raise Fatal("the config asks for 3 legs")
    elif how == "raises":
        return {}["legs"]
    elif how == "waits":
        process.receiver("logs").recv()
    elif how == "ignores":
        while True:
            signal.pause()
    else:
        for number in range(20_000):
            os.write(1 + number % 2, b"line %d of many that are in the pipe\\n" % number)
        if how == "exits":
            os._exit(9)
        os.kill(os.getpid(), signal.SIGSEGV)
"""
RUN = {"learner": 1, "actor": 1}


@pytest.mark.parametrize(
    ("how", "code", "name", "reason"),
    [
        ("returns", ExitCode.DONE, "DONE", ""),
        ("fatal", ExitCode.FATAL, "FATAL", "the config asks for 3 legs"),
        ("raises", ExitCode.FAILED, "FAILED", "KeyError: 'legs'"),
        ("exits", 9, "FAILED", "line 19999 of many that are in the pipe"),
        ("dies", 128 + signal.SIGSEGV, "SIGSEGV", "died of SIGSEGV; its last words: "),
    ],
)
def test_a_pod_exits_as_its_worker_did_and_leaves_word_of_it(
    make_pods: MakePods, how: str, code: int, name: str, reason: str
) -> None:
    pod = make_pods(ROLES, RUN, changes={"replicas": {"learner": 1}}).start("learner", HOW=how)
    assert pod.wait() == code
    ending = pod.ending()
    assert ending.exit == name and reason in ending.reason
    if how == "returns":
        assert {**ending.progress, "hours": 0} == {"steps": 40, "total_steps": 100, "episode_return": 7.5, "hours": 0}
    if how in ("exits", "dies"):
        assert [f"line {number} of many" in pod.log() for number in (0, 10_000, 19_999)] == [True] * 3
    if how == "dies":
        assert "Fatal Python error: Segmentation fault" in pod.log()


def test_a_signal_stops_the_worker_which_is_told_apart_from_a_failure(make_pods: MakePods, until: Until) -> None:
    pod = make_pods(ROLES, RUN).start("learner", HOW="waits")
    until(lambda: "begins" in pod.log(), "the role to begin")
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait() == ExitCode.PREEMPTED
    assert (pod.ending().exit, pod.ending().reason) == ("PREEMPTED", "SIGTERM")
    assert "learner/0 ends: preempted" in pod.log()


IMPORTS = "import os, time\nos.write(1, b'imports')\ntime.sleep(600)"


def test_a_signal_while_the_role_is_imported_ends_at_once(make_pods: MakePods, until: Until) -> None:
    pod = make_pods(IMPORTS, RUN).start("actor")
    until(lambda: "imports" in pod.log(), "the import")
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait() == ExitCode.PREEMPTED


def test_a_signal_before_the_worker_has_started_counts_as_preemption(make_pods: MakePods, until: Until) -> None:
    pod = make_pods(IMPORTS, RUN, prefix=(sys.executable, "-P", "-c", STOPPED_AT_ONCE)).start("actor")
    assert pod.wait() == ExitCode.PREEMPTED
    assert pod.ending().reason == "stopped before it had started"


STOPPED_AT_ONCE = """
import os, signal, sys
from surreal.protocol.worker import __main__ as worker
from surreal.protocol.worker.pod import pid1 as first
fork = os.fork
def stopped():
    os.kill(os.getpid(), signal.SIGTERM)
    return fork()
os.fork = stopped
sys.exit(worker.main())
"""
UPLOAD_GRACE_S = """
import sys
from surreal.protocol.worker import __main__ as worker
from surreal.protocol.worker.pod import pid1 as first
first.POD_STOP_GRACE_S = 0.5
sys.exit(worker.main())
"""


def test_a_worker_that_does_not_end_is_killed_in_time_and_preempted(make_pods: MakePods, until: Until) -> None:
    pods = make_pods(ROLES, RUN, prefix=(sys.executable, "-P", "-c", UPLOAD_GRACE_S))
    pod = pods.start("learner", HOW="ignores")
    until(lambda: "begins" in pod.log(), "the role to begin")
    pod.process.send_signal(signal.SIGTERM)
    assert pod.wait() == ExitCode.PREEMPTED
    assert "was killed" in pod.ending().reason
    assert "of the signal: killed" in pod.log()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a PID namespace")
def test_pid_1_hears_signals_and_reaps_orphans(make_pods: MakePods, until: Until) -> None:
    prefix = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, "-P", "-m")
    pods = make_pods(ORPHANS, RUN, prefix=(*prefix, "surreal.protocol.worker"))
    pod = pods.start("learner")
    until(lambda: "no zombies" in pod.log(), "the orphans to be reaped")
    assert "parent is 1" in pod.log()
    child = children(pod.process.pid)[0]
    os.kill(child, signal.SIGTERM)
    assert pod.wait() == ExitCode.PREEMPTED


def children(pid: int) -> list[int]:
    """Processes that `pid` has started."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


ORPHANS = """
import os, time
def learner(process):
    print("parent is", os.getppid(), flush=True)
    for _ in range(20):
        if os.fork() == 0:  # a child that leaves a grandchild behind
            os._exit(0 if os.fork() else 0)
        os.wait()
    while [pid for pid in os.listdir("/proc") if pid.isdecimal() and int(pid) > 2 and state(pid) == "Z"]:
        time.sleep(0.01)
    print("no zombies", flush=True)
    process.receiver("logs").recv()
def state(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        return ""
"""


def test_last_words_are_cut_where_kubernetes_would() -> None:
    for reason in ("x" * 10_000, "\U0001f600" * 3000, '"' * 9000, "\n" * 4000):
        ending = TerminationMessage("FATAL", reason, {"steps": 1.0})
        line = ending.line()
        assert len(line.encode()) <= MAX_BYTES
        parsed = TerminationMessage.parse(line)
        assert parsed and parsed.exit == "FATAL" and parsed.progress == {"steps": 1.0}
        assert parsed.reason.endswith("...") and len(parsed.reason) > 100
    assert TerminationMessage.parse("Traceback (most recent call last):") is None
    assert TerminationMessage.parse('{"exit": 1}') is None and TerminationMessage.parse("[]") is None
