"""The pulse of a process: who moves, who stands still, and where."""

import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from surreal.protocol.transport import stats
from surreal.protocol.transport.stats import ACTIVITY, StopEvent, moved
from surreal.protocol.worker import pulse
from surreal.protocol.worker.pulse import Board, Pulse, Reading, Watch, describe, environment_call, stuck_at


def test_what_a_worker_writes_its_supervisor_reads() -> None:
    board = Board(3)
    try:
        assert board.read(1) is None, "nothing was written yet"
        writer = Pulse(os.dup(board.descriptor), 1)
        writer.beat()
        first = board.read(1)
        assert first == Reading(1, 0.0, "") and board.read(0) is None and board.read(2) is None
        board.clear(1)
        assert board.read(1) is None
    finally:
        board.close()


def test_what_a_worker_says_that_it_does_is_read_though_it_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ACTIVITY, "doing", "compiles the gradients")
    board, watch = Board(1), Watch()
    try:
        Pulse(os.dup(board.descriptor), 0).beat()
        watch.look(board.read(0), 5.0)
    finally:
        board.close()
    assert watch.still == 0.0 and watch.worth_saying(30.0) and watch.where == "compiles the gradients"
    for _ in range(6):
        watch.look(None, 5.0)
    assert watch.where == stats.FROZEN, "one that no longer answers says nothing"


@pytest.mark.parametrize("data", [b"", b"\0" * 512, b'{"beat": 1', b"[1]", b'{"beat": 1, "still": "x", "inside": ""}'])
def test_half_a_reading_is_none(data: bytes) -> None:
    assert pulse.parse(data) is None


def test_one_that_beats_and_moves_is_well_and_one_that_does_neither_is_not() -> None:
    watch = Watch()
    watch.look(Reading(1, 0.0, ""), 5.0)
    watch.look(Reading(2, 0.0, ""), 5.0)
    assert watch.still == 0.0
    for _ in range(3):
        watch.look(Reading(2, 0.0, ""), 5.0)
    assert watch.still == 15.0 and "does not answer" in watch.where
    watch.look(Reading(3, 60.0, "env.step (my_env.py:12)"), 5.0)
    assert watch.still == 60.0 and watch.where == "is inside env.step (my_env.py:12)"
    watch.look(Reading(4, 0.0, ""), 5.0)
    assert watch.still == 0.0


def test_waiting_for_the_end_is_no_hang_and_a_thread_of_ours_proves_nothing() -> None:
    stop, before = StopEvent(), ACTIVITY.moves
    assert not stop.wait(0.0) and not stop.is_set()
    assert ACTIVITY.moves == before + 2
    helper = threading.Thread(target=stop.is_set, name="surreal-io")
    helper.start()
    helper.join()
    assert ACTIVITY.moves == before + 2
    moved()
    assert ACTIVITY.moves == before + 3
    stop.set()
    assert stop.wait() and stop.wait(10.0)


def module(name: str, code: str) -> types.ModuleType:
    """A module made of its text."""
    made = types.ModuleType(name)
    exec(compile(code, f"/elsewhere/{name.rpartition('.')[2]}.py", "exec"), made.__dict__)
    return made


def inside(call: Callable[[Callable[[], None]], None]) -> str:
    """Where `describe` says that the stack is, from within the innermost function."""
    found: list[tuple[str, str]] = []

    def look() -> None:
        frames, frame = [], sys._getframe(1)
        while frame:
            frames.append(frame)
            frame = frame.f_back  # type: ignore[assignment]
        found.append((environment_call(frames), describe(frames)))

    call(look)
    return " | ".join(found[0])


def test_a_call_into_an_environment_is_named_with_its_line() -> None:
    methods = "    def step(self, look):\n        self.wait(look)\n    def wait(self, look): look()\n"
    task = module("my_env", f"class Task:\n{methods}")
    ours = module("surreal.algorithms.environments", "def run(env, look): env.step(look)\n")
    assert inside(lambda look: ours.run(task.Task(), look)) == "env.step | env.step (my_env.py:4)"
    theirs = module("my_role", "def run(env, look): env.step(look)\n")
    assert inside(lambda look: theirs.run(task.Task(), look)) == " | wait (my_env.py:4)"


FROZEN = """
import ctypes, faulthandler, os, threading
faulthandler.enable()
threading.Thread(target=input, daemon=True).start()
def step():
    print("now", flush=True)
    ctypes.PyDLL(None).sleep(600)
step()
"""


def test_the_stacks_of_a_process_that_blocks_python_say_where_it_was(tmp_path: Path) -> None:
    (tmp_path / "my_env.py").write_text(FROZEN)
    command = [sys.executable, str(tmp_path / "my_env.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None and process.stdin is not None
    with process, process.stdout, process.stdin:
        assert process.stdout.readline() == b"now\n"
        process.send_signal(signal.SIGABRT)
        assert stuck_at(process.stdout.read().decode()).startswith("step (my_env.py:")
    assert stuck_at("no stacks") == ""


def test_a_process_hangs_after_the_limit_and_one_that_never_began_later() -> None:
    watch = Watch()
    watch.look(None, 60.0)
    assert not watch.hangs(10.0) and not watch.hangs(0.0), "it may still import"
    watch.look(None, 60.0)
    assert watch.hangs(10.0) and not watch.hangs(0.0)
    watch.look(Reading(1, 0.0, ""), 5.0)
    assert not watch.hangs(10.0)
    watch.look(Reading(2, 10.0, "env.step (my_env.py:7)"), 5.0)
    assert watch.hangs(10.0)
