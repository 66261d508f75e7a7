"""Does a table hold rows of another library, run by that library's own interpreter?"""

import json
import os
import shlex
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from learning.peers import Peers, words_of
from learning.rows import Row, conventions, write_row
from learning.table import Budget, Cell, Contestant
from tests.benchmarks.suites import ROOT, Suite

pytestmark = pytest.mark.timeout(300)
WORDS = ("--tasks", "CartPole-v1", "--contestants", "sb3-ppo", "--seeds", "7", "--steps", "2000")


def interpreter(folder: Path, script: str) -> Path:
    """Put a program where the interpreter of the peer is looked for; returns the folder of peers."""
    python = folder / "sb3" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    os.chmod(python, 0o700)
    return folder


def alive(pid: str) -> bool:
    """True while a process runs; one that is dead may still wait for a parent to take note."""
    stat = Path("/proc", pid, "stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_row_is_what_the_script_prints_last(suite: Suite, tmp_path: Path) -> None:
    row = asdict(Row("", "", 0, "", steps=2048, seconds=3.0, conventions=conventions(10)))
    printed = {key: row[key] for key in ("steps", "seconds", "conventions")}
    printed["figures"] = {"training": 20.0, "last": 30.0, "best": 40.0}
    peers = interpreter(tmp_path, f"echo a line; echo '{json.dumps(printed)}'")
    done = suite(*WORDS, "--peers", str(peers))
    assert done.returncode == 0, done.stderr
    kept = suite.row("sb3-ppo-cartpole-v1-2000-7")
    assert kept["figures"]["last"] == 30.0 and kept["outcome"] == "succeeded"
    assert kept["command"].endswith(
        "sb3_suite.py --algorithm ppo --env CartPole-v1 --steps 2000 --seed 7 --episodes 10"
    )


def test_a_script_is_told_where_to_keep_a_run_that_a_longer_one_goes_on_with(suite: Suite, tmp_path: Path) -> None:
    peers = interpreter(tmp_path, f'echo "$@" >> {tmp_path}/words; exit 1')
    assert suite(*WORDS, "--peers", str(peers)).returncode == 0
    assert suite(*WORDS[:-1], "3000", "--peers", str(peers)).returncode == 0
    shorter, longer = [line.split() for line in (tmp_path / "words").read_text().splitlines()]
    kept = shorter[shorter.index("--kept") + 1]
    assert kept == str(suite.home / "peers" / "sb3-ppo-cartpole-v1-7-10") == longer[longer.index("--kept") + 1]
    assert "--kept" not in suite.row("sb3-ppo-cartpole-v1-3000-7")["command"]


def test_a_script_that_fails_is_a_failed_row_with_its_last_words(suite: Suite, tmp_path: Path) -> None:
    done = suite(*WORDS, "--peers", str(interpreter(tmp_path, "echo no such module >&2; exit 1")))
    assert done.returncode == 0, done.stderr
    assert suite.row("sb3-ppo-cartpole-v1-2000-7")["reason"] == "no such module"


def test_a_peer_that_is_not_installed_is_said_before_anything_runs(suite: Suite, tmp_path: Path) -> None:
    done = suite(*WORDS, "--peers", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "is not there. Make that environment first." in done.stderr and "Traceback" not in done.stderr
    assert suite(*WORDS).returncode == 2


def test_a_peer_that_is_cut_has_no_row_and_no_process_left(suite: Suite, tmp_path: Path) -> None:
    peers = interpreter(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    running = suite.start(*WORDS, "--peers", str(peers))
    suite.until(tmp_path / "pid", "\n")
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=120)
    assert running.returncode == 6
    assert list(suite.rows.glob("*")) == []
    assert not alive((tmp_path / "pid").read_text().strip())


def test_a_peer_ends_with_a_suite_that_is_killed(suite: Suite, tmp_path: Path) -> None:
    code = f"import os, sys, time; sys.path.insert(0, {str(ROOT / 'benchmarks' / 'peers')!r}); import tied; tied.tie()"
    code += f"; print(os.getpid(), file=open({str(tmp_path / 'pid')!r}, 'w'), flush=True); time.sleep(600)"
    peers = interpreter(tmp_path, f"exec {shlex.join([sys.executable, '-c', code])}")
    running = suite.start(*WORDS, "--peers", str(peers))
    suite.until(tmp_path / "pid", "\n")
    pid = (tmp_path / "pid").read_text().strip()
    assert alive(pid)
    running.kill()
    running.communicate()
    deadline = time.monotonic() + 60
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_task_that_is_none_is_no_failed_run_of_a_peer(suite: Suite, tmp_path: Path) -> None:
    done = suite("--tasks", "Nope-v5", *WORDS[2:], "--peers", str(interpreter(tmp_path, "exit 1")))
    assert done.returncode == 2 and "Nope" in done.stderr and "Traceback" not in done.stderr
    assert list(suite.rows.glob("*")) == []


def test_a_suite_whose_parent_ignores_ctrl_c_answers_it_and_writes_the_page(suite: Suite, tmp_path: Path) -> None:
    done = Row("ppo", "CartPole-v1", 7, "succeeded", "", 2000, 3.0, {"last": 30.0}, conventions(10), budget=2000)
    write_row(suite.rows / "ppo-cartpole-v1-2000-7.json", done)
    peers = interpreter(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    words = (*WORDS, "--peers", str(peers), "--report", str(tmp_path / "page.md"))
    running = suite.start(*words, under=("sh", "-c", "trap '' INT; exec \"$@\"", "-"))
    suite.until(tmp_path / "pid", "\n")
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 6, said
    assert "| CartPole-v1 | ppo | - | 30.0 (30.0 to 30.0) |" in (tmp_path / "page.md").read_text()


def test_a_task_of_a_suite_has_its_options_and_an_interpreter_of_its_own(tmp_path: Path) -> None:
    def cell(task: str) -> Cell:
        return Cell(Contestant.parse("sb3-sac"), task, 1, Budget(5000))

    words = words_of(cell("robosuite/Lift"))
    assert words[:3] == ["sb3_suite.py", "--algorithm", "sac"]
    assert json.loads(words[words.index("--options") + 1]) == {"horizon": 200, "control_freq": 20}
    assert words_of(cell("MinAtar/Breakout-v1"))[-2:] == ["--time-limit", "5000"]
    assert "--options" not in words_of(cell("Hopper-v5"))
    with pytest.raises(FileNotFoundError, match="rs/bin/python"):
        Peers(tmp_path).python(cell("robosuite/Lift"))
