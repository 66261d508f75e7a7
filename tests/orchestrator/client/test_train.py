"""Training from Python: a run that belongs to its program, on real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import surreal
from surreal.orchestrator.train import _resized
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from tests.algorithms.fabric import OWN
from tests.orchestrator.client.programs import TOY
from tests.orchestrator.runs import is_dead, until

FOLDER = Path(__file__).parents[3]
"""Folder from which `tests.orchestrator.client.programs` is imported."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def test_an_own_algorithm_trains_and_the_run_can_be_looked_at() -> None:
    run = surreal.train("CartPole-v1", TOY(total_steps=20), actors=1, name="toy", folder=FOLDER)
    status = run.status()
    assert (run.name, status.state) == ("toy", "succeeded")
    assert list(status.roles) == ["learner", "actor"] and len(status.roles["actor"]) == 1
    assert [each.name for each in surreal.Client().list()] == ["toy"]
    run.delete()
    with pytest.raises(NotFound):
        surreal.Client().get("toy")


def test_actors_is_the_size_of_the_role_that_scales() -> None:
    run = surreal.train("CartPole-v1", TOY(total_steps=0), actors=3, name="toy", folder=FOLDER, wait=False)
    assert len(run.status().roles["actor"]) == 3
    assert run.stop()
    assert run.status().state == "stopped"


def test_a_keyword_that_is_not_known_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"^actor: unknown keyword \(did you mean 'actors'\?\)"):
        surreal.train("CartPole-v1", "ppo", actor=2)


def test_a_name_that_is_taken_is_refused_and_the_other_run_goes_on() -> None:
    first = surreal.train("CartPole-v1", TOY(total_steps=0), name="toy", folder=FOLDER, wait=False)
    with pytest.raises(InvalidInput, match="'toy' exists already"):
        surreal.train("CartPole-v1", TOY(total_steps=0), name="toy", folder=FOLDER)
    assert first.status().state in ("pending", "running")
    first.delete()


def test_a_run_that_fails_raises_its_reason() -> None:
    env = {"id": "odd:Odd", "options": {"how": "four"}}
    with pytest.raises(SurrealError, match="toy: failed: .*Split done into terminated and truncated"):
        surreal.train(env, surreal.PPO(total_steps=1000), name="toy", actors=1, folder=OWN)


PROGRAM = """
import sys
import surreal
from tests.orchestrator.client.programs import TOY
surreal.train("CartPole-v1", TOY(total_steps=0), name="toy", folder={folder!r}, wait=False, detach={detach})
print("started", flush=True)
sys.stdin.read()
"""


def program(detach: bool) -> "subprocess.Popen[str]":
    """Start a program that trains and then waits, as a notebook's kernel does."""
    code = f"import sys; sys.path.insert(0, {str(FOLDER)!r})" + PROGRAM.format(folder=str(FOLDER), detach=detach)
    command = [sys.executable, "-P", "-c", code]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout and started.stdout.readline() == "started\n"
    return started


def watching() -> list[int]:
    """Processes that watch over the program of this test's run `toy`."""
    found = psutil.process_iter(["cmdline", "environ"])
    ours = [each for each in found if (each.info["environ"] or {}).get("SURREAL_HOME") == os.environ["SURREAL_HOME"]]
    return [each.pid for each in ours if (each.info["cmdline"] or [])[-2:] == ["surreal.orchestrator.owner", "toy"]]


def running(run: surreal.Run) -> list[int]:
    """Pids of the processes of a run."""
    return [each.pid for role in run.status().roles.values() for each in role if each.pid]


def test_the_processes_of_a_run_end_when_its_program_is_killed() -> None:
    with program(detach=False) as kernel:
        run = surreal.Run.find("toy")
        until(lambda: len(running(run)) == sum(map(len, run.status().roles.values())), "all its processes run")
        pids = running(run)
        os.kill(kernel.pid, signal.SIGKILL)
    until(lambda: run.status().state == "stopped", "the run is stopped after a checkpoint")
    until(lambda: all(is_dead(pid) for pid in pids), "no process is left")
    until(lambda: not watching(), "the watching process ends too")


def test_a_detached_run_outlives_its_program() -> None:
    with program(detach=True) as kernel:
        os.kill(kernel.pid, signal.SIGKILL)
    run = surreal.Run.find("toy")
    until(lambda: run.status().state == "running", "the run runs")
    assert not watching(), "a process watches over the program"
    run.delete()


def test_functions_of_the_program_itself_are_refused_with_file_and_line(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import surreal\n\ndef actor(process):\n    pass\n\nsurreal.Role('actor', actor)\n")
    done = subprocess.run([sys.executable, "-P", str(script)], capture_output=True, text=True, timeout=200, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert f"role actor: run: 'actor' ({script}:3) is a function of __main__" in last
    assert "Move it into a module" in last


@pytest.mark.parametrize("function", [lambda process: None, len, "".join], ids=["lambda", "builtin", "method"])
def test_what_no_worker_can_import_is_no_role(function: object) -> None:
    with pytest.raises(InvalidInput, match="role actor: run: .* (has no name|is no function)"):
        surreal.Role("actor", function)  # type: ignore[call-overload]


@pytest.mark.parametrize("algorithm", ["ppo", "sac", "impala", "es"])
def test_actors_are_the_processes_that_act_whatever_else_scales(algorithm: str) -> None:
    experiment = surreal.Experiment("one", "HalfCheetah-v5", algorithm)
    roles = _resized(experiment, 5).spec.roles
    assert roles["worker" if algorithm == "es" else "actor"].replicas == 5
    assert all(role.replicas in range(5) for name, role in roles.items() if name not in ("worker", "actor"))
