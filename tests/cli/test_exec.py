"""`surreal exec` and `surreal port-forward`, as far as they need no cluster."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import SURREAL, surreal, terminal
from tests.orchestrator.runs import HERE, create, plan

SHOW = "import os, roles; print(os.getcwd(), os.environ['WHO'], os.environ['OMP_NUM_THREADS'], roles.__file__)"


def test_a_command_has_the_variables_the_folder_and_the_code_of_the_process(place: LocalBackend) -> None:
    name = create(place)
    done = surreal("exec", name, "actor/1", "--", sys.executable, "-P", "-c", SHOW)
    assert done.stdout.split() == [str(home.find(name).path), "actor", "1", str(HERE / "roles.py")], done.stderr
    place.stop(name)
    assert surreal("exec", name, "learner", "--", "printenv", "WHO").stdout == "learner\n"


def test_its_exit_code_and_its_pipes_are_ours(place: LocalBackend) -> None:
    name = create(place)
    command = [*SURREAL, "exec", name, "learner", "--", "sh", "-c", "cat; echo err >&2; exit 9"]
    done = subprocess.run(command, input=b"given\xff", capture_output=True, timeout=200, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (9, b"given\xff", b"err\n")
    assert surreal("exec", name, "learner", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def test_ctrl_c_is_the_commands(place: LocalBackend) -> None:
    name = create(place)
    # a shell runs a trap between two commands, so these are short
    script = "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"
    with terminal("exec", name, "learner", "--", "sh", "-c", script) as it:
        it.wait_for("ready")
        it.press(b"\x03")
        it.wait_for("caught")
        assert it.end() == 4


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("exec", "{}", "lerner", "--", "ls"), ExitCode.NOT_FOUND, "did you mean 'learner'?"),
        (("exec", "{}", "actor/7", "--", "ls"), ExitCode.NOT_FOUND, "It has: actor/0"),
        (("exec", "nobody", "learner", "--", "ls"), ExitCode.NOT_FOUND, "no experiment 'nobody'"),
        (("exec", "{}", "learner", "--", "no-such-command"), ExitCode.INVALID, "cannot run 'no-such-command': No such"),
        (("exec", "{}", "learner"), ExitCode.INVALID, "Missing argument '-- COMMAND"),
        (
            ("port-forward", "{}", "learner", "9400"),
            ExitCode.INVALID,
            "where no port is forwarded. Set spec.prometheus",
        ),
        (("port-forward", "nobody", "learner", "9400"), ExitCode.NOT_FOUND, "no experiment 'nobody'"),
        (
            ("port-forward", "{}", "learner", "0:0"),
            ExitCode.INVALID,
            "Invalid ports '0:0'. Expected REMOTE or LOCAL:REMOTE",
        ),
        (("port-forward", "{}", "learner", "80:70000"), ExitCode.INVALID, "Expected REMOTE or LOCAL:REMOTE"),
        (("port-forward", "{}", "learner", "http"), ExitCode.INVALID, "Expected REMOTE or LOCAL:REMOTE"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(
    place: LocalBackend, arguments: tuple[str, ...], code: ExitCode, words: str
) -> None:
    home.new_folder("toy").make()
    copy_plan("toy")
    done = surreal(*(word.format("toy") for word in arguments))
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr


def copy_plan(name: str) -> None:
    """What an experiment's folder needs to be looked at."""
    folder = home.find(name)
    folder.plan.write_text(plan(name).to_json())
    home.write_json(folder.provenance, {"code": str(HERE)})


def test_the_environment_of_who_asks_is_kept(place: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    home.new_folder("toy").make()
    copy_plan("toy")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    shown = surreal("exec", "toy", "evaluator", "--", "printenv", "PYTHONPATH").stdout
    assert shown == os.pathsep.join((str(HERE), "/elsewhere")) + "\n"
    assert Path(surreal("exec", "toy", "evaluator", "--", "pwd").stdout.strip()) == home.find("toy").path
