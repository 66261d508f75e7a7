"""Foreign code in a worker: whatever it does to its process, only the role's own return makes a run a success."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.termination import TerminationMessage
from tests.protocol.conftest import end
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]
ROLES = """
import atexit, ctypes, multiprocessing, os, signal, sys, threading, time
from surreal.protocol.errors import ExitCode

def exits(process): sys.exit(int(os.environ["STATUS"]))
def exits_by_system(process): os._exit(int(os.environ["STATUS"]))
def interrupts(process): raise KeyboardInterrupt
def returns(process): return ExitCode.DONE
def returns_then_exits(process):
    atexit.register(os._exit, 5)
    return ExitCode.DONE
def leaves_a_thread(process):
    threading.Thread(target=time.sleep, args=(600,), name="renderer").start()
    return ExitCode.DONE
def leaves_a_hang(process):
    atexit.register(time.sleep, 600)
    return ExitCode.DONE
def changes_directory(process):
    os.chdir("/")
    return ExitCode.DONE
def closes_its_output(process):
    sys.stdout.close()
    return ExitCode.DONE
def prints_in_threads(process):
    sys.setswitchinterval(1e-6)
    lines = lambda letter: [print(letter * 20) for _ in range(2000)]
    threads = [threading.Thread(target=lines, args=(letter,)) for letter in "abcd"]
    for each in threads: each.start()
    for each in threads: each.join()
    return ExitCode.DONE
def hangs_in_a_line(process):
    print("connecting to the simulator ...", end="")
    sys.stderr.write("as root ...")
    time.sleep(600)
def forks(process):
    if not os.fork():
        sys.exit(0)
    os.wait()
    return ExitCode.DONE
def waits(process):
    print("waiting", flush=True)
    while not process.should_stop:
        time.sleep(0.01)
    print(process.session.stop_reason, flush=True)
    return ExitCode.PREEMPTED
def ignores_signals(process):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return waits(process)
def handles_signals(process):
    signal.signal(signal.SIGTERM, lambda *_: print("window closed", flush=True))
    return waits(process)
def resets_signals_below_python(process):
    ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(1))
    return waits(process)
def exits_on_signals(process):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    return waits(process)
def terminates_children(process):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join(120)
    print("child", child.exitcode, process.should_stop, flush=True)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply(abs, (-1,))
    print("pool", flush=True)
    return ExitCode.DONE
"""


class Worker:
    """A worker of the role that ends the run, and the file in which it says how it ended."""

    def __init__(self, folder: Path, role: str, status: int = 0, expendable: bool = False) -> None:
        (folder / "roles.py").write_text(ROLES)
        self.record = folder / "termination"
        wiring = Wiring(
            *("test", "learner", 0, 1, f"roles:{role}", {"learner": 1, "actor": 1}, {}, f"ipc://{folder}/control"),
            serves_control=not expendable,
            run_folder=str(folder),
            seed=1,
            code=str(folder),
            expendable=expendable,
            termination=self.record.name,
        )
        replace(wiring, role="actor" if expendable else "learner").write(folder / "wiring.json")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "surreal.protocol.worker", "wiring.json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "STATUS": str(status), "PYTHONUNBUFFERED": "1"},
        )

    def finish(self) -> tuple[int, TerminationMessage | None, str]:
        """Wait for the end; return the exit status, the record and all that was printed."""
        out, log = self.process.communicate(timeout=120)
        text = self.record.read_text() if self.record.exists() else ""
        return self.process.returncode, TerminationMessage.parse(text) if text else None, out + log

    def says(self) -> str:
        """Return the next line that it prints."""
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def logs(self, words: str) -> None:
        """Wait until it logs a line with these words; that line and those before are in no result of `finish`."""
        assert self.process.stderr
        assert any(words in line for line in self.process.stderr), f"it ended without {words!r}"


Start = Callable[..., Worker]


@pytest.fixture
def start_role(folder: Path) -> Iterator[Start]:
    """Starts workers and ends them."""
    workers: list[Worker] = []

    def start_role(*arguments: Any, **options: Any) -> Worker:
        workers.append(Worker(folder, *arguments, **options))
        return workers[-1]

    yield start_role
    for worker in workers:
        end(worker.process)


def test_a_line_without_an_end_is_out_while_the_code_hangs(start_role: Start) -> None:
    process = start_role("hangs_in_a_line").process
    for stream, words in ((process.stdout, "connecting to the simulator ..."), (process.stderr, "as root ...")):
        assert stream
        assert stream.read(len(words)) == words
    assert process.poll() is None


def test_lines_that_threads_print_are_whole(start_role: Start) -> None:
    worker = start_role("prints_in_threads")
    printed = [worker.says() for _ in range(8000)]
    assert worker.finish()[0] == ExitCode.DONE
    assert all(line in ("a" * 20, "b" * 20, "c" * 20, "d" * 20) for line in printed)


@pytest.mark.parametrize("status", [0, 2, 3, 4])
def test_an_exit_is_a_crash_whatever_its_status(start_role: Start, status: int) -> None:
    code, record, log = start_role("exits", status).finish()
    assert code == ExitCode.FAILED
    assert record and record.exit == "FAILED"
    assert record.reason.startswith(f"exit({status}) in ") and "roles.py:5" in record.reason
    assert "Traceback" in log


@pytest.mark.parametrize("status", [0, 4])
def test_an_exit_below_python_leaves_no_record_that_could_make_it_count(start_role: Start, status: int) -> None:
    assert start_role("exits_by_system", status).finish()[:2] == (status, None)


def test_an_interrupt_that_foreign_code_raises_is_a_crash(start_role: Start) -> None:
    code, record, _ = start_role("interrupts").finish()
    assert code == ExitCode.FAILED and record and "KeyboardInterrupt() in " in record.reason


def test_an_early_return_is_a_crash_of_a_role_that_never_ends_by_itself(start_role: Start) -> None:
    code, record, _ = start_role("returns", expendable=True).finish()
    assert code == ExitCode.FAILED
    assert record and (record.exit, record.reason) == ("FAILED", "roles:returns returned before the run was over")


@pytest.mark.parametrize(
    "role", ["returns", "changes_directory", "closes_its_output", "forks", "leaves_a_thread", "leaves_a_hang"]
)
def test_the_return_of_the_role_counts_whatever_else_it_did(start_role: Start, folder: Path, role: str) -> None:
    code, record, log = start_role(role).finish()
    assert code == ExitCode.DONE, log
    assert record and record.exit == "DONE"
    assert (folder / "channels.json").exists()
    assert ("the role left threads running: renderer" in log) == (role == "leaves_a_thread")


def test_a_status_that_a_library_ends_with_after_the_return_does_not_change_the_record(start_role: Start) -> None:
    code, record, _ = start_role("returns_then_exits").finish()
    assert code == 5 and record and record.exit == "DONE"


@pytest.mark.parametrize("role", ["waits", "ignores_signals", "handles_signals", "resets_signals_below_python"])
def test_a_stop_is_heard_whatever_the_role_does_to_the_handlers(start_role: Start, role: str) -> None:
    worker = start_role(role)
    assert worker.says() == "waiting"
    if role in ("ignores_signals", "resets_signals_below_python"):
        worker.logs("SIGTERM had lost its handler to code of the role; it is back")
    worker.process.send_signal(signal.SIGTERM)
    code, record, log = worker.finish()
    assert code == ExitCode.PREEMPTED, log
    assert record and (record.exit, record.reason) == ("PREEMPTED", "SIGTERM")


def test_a_handler_that_exits_is_the_stop_that_it_answers(start_role: Start) -> None:
    worker = start_role("exits_on_signals")
    assert worker.says() == "waiting"
    worker.process.send_signal(signal.SIGTERM)
    code, record, log = worker.finish()
    assert code == ExitCode.PREEMPTED and record and record.exit == "PREEMPTED", log


def test_forked_children_die_of_sigterm_and_their_parent_goes_on(start_role: Start) -> None:
    code, _, log = start_role("terminates_children").finish()
    assert code == ExitCode.DONE
    assert f"child {-signal.SIGTERM} False" in log and "pool" in log


@pytest.mark.parametrize("status", [0, 3])
def test_a_pod_whose_process_was_ended_with_a_status_of_ours_failed(make_pods: MakePods, status: int) -> None:
    pods = make_pods(f"{ROLES}\nlearner = exits_by_system\n", {"learner": 1})
    pod = pods.start("learner", STATUS=str(status))
    assert pod.wait() == ExitCode.FAILED
    assert pod.ending().exit == "FAILED"
    assert f"something in it ended the process with exit code {status}" in pod.ending().reason


def test_a_pod_whose_library_changes_the_status_after_the_return_is_done(make_pods: MakePods) -> None:
    pods = make_pods(f"{ROLES}\nlearner = returns_then_exits\n", {"learner": 1})
    pod = pods.start("learner")
    assert (pod.wait(), pod.ending().exit) == (0, "DONE")
    assert json.loads((pods.folder / "learner-termination").read_text())["exit"] == "DONE"
