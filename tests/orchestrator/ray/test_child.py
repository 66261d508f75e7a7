"""The worker below a host: real processes, a host without Ray, and a supervisor that only takes notes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pytest

from surreal.orchestrator.backends.ray.actors.child import Child, Order
from surreal.orchestrator.backends.ray.actors.command import Commands
from surreal.orchestrator.backends.ray.actors.network import Network, Place
from surreal.orchestrator.run.wiring import CONTROL, key_files
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.runs import HERE, plan, until
from tests.ports import free_port


class Notes:
    """Takes what a supervisor would, without Ray: `notes.output.remote(...)`."""

    def __init__(self) -> None:
        self.printed, self.pids = b"", list[int]()

    def __getattr__(self, name: str) -> Any:
        return Method(getattr(self, f"_{name}"))

    def _output(self, name: str, incarnation: int, data: bytes) -> None:
        self.printed += data

    def _started(self, name: str, incarnation: int, pid: int) -> None:
        self.pids.append(pid)

    def _note(self, *_: Any) -> None:
        return


class Method:
    """A method of an actor."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.remote = function


def order(folder: Path, function: str, hang_seconds: float = 300.0) -> Order:
    """What a host is told of a learner that runs a function of `roles.py`, alone."""
    planned = plan(learner=function)
    network = Network(planned)
    ports = {"experience": 0, "metrics": 0, CONTROL: 0}
    network.places["learner", 0] = Place("127.0.0.1", "n1", {name: free_port() for name in ports})
    wiring = network.wiring(planned.role("learner"), 0, 1, str(folder / "run"))
    keys = key_files(planned)["learner"]
    return Order({**asdict(wiring), "code": str(HERE)}, keys, {"WHO": "learner"}, hang_seconds)


def run(child: Child, notes: Notes) -> tuple[threading.Thread, dict[str, Any]]:
    """Run a child in a thread, as a host does; what it returns appears in the dictionary."""
    ended: dict[str, Any] = {}
    thread = threading.Thread(target=lambda: ended.update(child.run(notes)))
    thread.start()
    return thread, ended


def test_a_worker_that_is_told_to_end_saves_and_leaves_a_record(tmp_path: Path) -> None:
    notes, child = Notes(), Child(order(tmp_path, "learner"), tmp_path, str(HERE))
    thread, ended = run(child, notes)
    until(lambda: (tmp_path / "run" / "metrics" / "metrics.jsonl").exists(), "it makes steps")
    child.signal(signal.SIGTERM)
    thread.join(120)
    assert ended["code"] == 4 and '"PREEMPTED"' in ended["record"] and not ended["hung"]
    assert len(notes.pids) == 1 and not psutil.pid_exists(notes.pids[0])
    assert b"learner/0 ends: preempted" in notes.printed


def test_a_signal_that_comes_before_the_worker_is_not_lost(tmp_path: Path) -> None:
    child = Child(order(tmp_path, "learner"), tmp_path, str(HERE))
    child.signal(signal.SIGKILL)
    thread, ended = run(child, Notes())
    thread.join(120)
    assert ended["code"] == -signal.SIGKILL and ended["record"] == ""


def test_keys_are_private_and_the_old_outcome_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "end.json").write_text("old")
    Child(order(tmp_path, "learner"), tmp_path, str(HERE))
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert (tmp_path / "wiring.json").stat().st_mode & 0o077 == 0
    assert not (tmp_path / "end.json").exists()


HOST = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from tests.orchestrator.ray.test_child import Child, Notes, order
folder = Path({folder!r})
child = Child(order(folder, "learner"), folder, {here!r})
threading.Thread(target=child.run, args=(Notes(),), daemon=True).start()
while child.pid is None:
    pass
print(child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_host(tmp_path: Path, number: signal.Signals) -> None:
    script = HOST.format(tests=str(HERE.parents[1]), folder=str(tmp_path), here=str(HERE))
    host = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ), text=True
    )
    assert host.stdout and host.stdin
    with host, host.stdout, host.stdin:
        pid = int(host.stdout.readline())
        until((tmp_path / "run" / "metrics" / "metrics.jsonl").exists, "the worker makes steps")
        host.send_signal(number)
        until(lambda: not _lives(pid), "the worker is gone")
        host.wait(120)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def printed(commands: Commands, number: int) -> tuple[bytes, bytes, int]:
    """All that a command prints, and its exit code."""
    output, errors, code = b"", b"", None
    while code is None:
        more, worse, code = commands.read(number)
        output, errors = output + more, errors + worse
    return output, errors, code


def test_a_command_gives_its_output_and_exit_code(tmp_path: Path) -> None:
    commands = Commands()
    number = commands.begin(["sh", "-c", "echo $WHO; echo bad >&2; seq 30000; exit 7"], {"WHO": "me"}, tmp_path)
    output, errors, code = printed(commands, number)
    assert output.startswith(b"me\n1\n2\n") and output.endswith(b"30000\n") and (errors, code) == (b"bad\n", 7)
    with pytest.raises(InvalidInput, match="cannot run 'nonsense-command'"):
        commands.begin(["nonsense-command"], {}, tmp_path)
