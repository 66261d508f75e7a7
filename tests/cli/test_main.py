"""The frame of the command line: light, forgiving of misspelling, exact in its exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from surreal.cli.main import COMMANDS, cli
from surreal.cli.ui.options import Number

SURREAL = [sys.executable, "-P", str(Path(sys.executable).with_name("surreal"))]
HEAVY = {"torch", "ray", "kubernetes", "zmq", "pydantic", "numpy", "rich", "yaml", "gymnasium", "mujoco"}


def surreal(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command line with nothing to read and no terminal."""
    command = [*SURREAL, *map(str, arguments)]
    env = {**os.environ, **variables}
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, env=env)


def test_help_lists_every_command_with_its_line() -> None:
    done = surreal("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for name, (_, text) in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert text in done.stdout


def test_help_imports_nothing_heavy_and_no_command() -> None:
    command = [sys.executable, "-P", "-X", "importtime", SURREAL[-1], "--help"]
    log = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True).stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in log.splitlines()}
    assert "click" in imported, "the import log was read wrongly"
    assert {name for name in imported if name.split(".")[0] in HEAVY} == set()
    assert {name for name in imported if name.startswith("surreal.")} <= {
        "surreal.cli",
        "surreal.cli.main",
        "surreal.protocol",
        "surreal.protocol.errors",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"], prog_name="surreal")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Usage: surreal {name}")
    assert "<=None" not in done.stdout


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert surreal("--version").stdout == f"surreal {version('surreal')}\n"


def test_an_unknown_command_is_refused_with_the_nearest_spelling() -> None:
    done = surreal("crate")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "unknown command 'crate' (did you mean 'create'?)" in done.stderr


def test_a_users_error_is_words_and_a_code_but_no_traceback(tmp_path: Path) -> None:
    done = surreal("plan", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"{tmp_path}/none.yaml: no such file. Start from one of those in examples/.\n"


def test_a_key_with_keys_in_it_is_explained_as_a_table_of_them() -> None:
    done = surreal("explain", "spec.algorithm.config", "--algorithm", "ppo")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert ["KEY", "DEFAULT", "MEANING"] in [line.split() for line in lines]
    assert any(line.split()[:3] == ["gae_lambda", "0.95", "Lambda"] for line in lines)
    assert not any(line.endswith(" ") for line in lines)
    narrow = surreal("explain", "spec", COLUMNS="80").stdout.splitlines()
    assert max(map(len, narrow)) <= 80


def test_a_key_that_does_not_exist_is_wrong_input() -> None:
    done = surreal("explain", "spec.algorithm.config.gae_lamda")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'gae_lambda'" in done.stderr


def test_no_file_and_two_files_are_errors_of_usage() -> None:
    assert "no experiment file; name one" in surreal("plan").stderr
    twice = surreal("plan", "a.yaml", "-f", "b.yaml")
    assert twice.returncode == 2
    assert "given twice" in twice.stderr


def test_ctrl_c_ends_with_130_and_no_traceback(tmp_path: Path) -> None:
    fifo = tmp_path / "slow.yaml"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [*SURREAL, "plan", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        writer = opened_by_a_reader(fifo, process)
        while process.poll() is None:
            # one that comes between Python's look for signals and the system's read is noticed with the next
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)  # a second one would end Python while it is ending
        out, err = process.communicate(timeout=120)
        os.close(writer)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "")


def opened_by_a_reader(fifo: Path, process: "subprocess.Popen[str]") -> int:
    """The writing end of `fifo`, once `process` has opened the other one."""
    while process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.01)
    raise AssertionError(f"ended with {process.returncode} before it read")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = [*SURREAL, "schema"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=120)
    process.stderr.close()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    done = surreal("completion", shell)
    assert done.returncode == 0
    assert "_SURREAL_COMPLETE" in done.stdout


def test_completion_knows_the_commands() -> None:
    done = surreal(_SURREAL_COMPLETE="bash_complete", COMP_WORDS="surreal st", COMP_CWORD="1")
    assert done.stdout.split() == ["plain,status", "plain,stop"]


def test_completion_of_an_unknown_shell_is_refused() -> None:
    assert surreal("completion", "tcsh").returncode == 2


def test_schema_is_json() -> None:
    assert json.loads(surreal("schema").stdout)["title"] == "Experiment"


def test_trouble_with_a_file_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    done = surreal(
        "image", "build", "--on", "docker", "--dry-run", "--torch", "cuda", SURREAL_HOME=str(tmp_path / "home")
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "Check the disk, or set SURREAL_HOME" in done.stderr


def every_option(command: click.Command, context: click.Context) -> Iterator[click.Parameter]:
    """All options of a command and of those below it."""
    yield from command.params
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from every_option(below, context)


def test_no_option_of_a_number_takes_one_that_is_not_finite() -> None:
    kinds = ("float", "float range", "number")
    numbers = [each for each in every_option(cli, click.Context(cli)) if each.type.name in kinds]
    assert len(numbers) >= 8
    assert {type(option.type) for option in numbers} == {Number}
    for text in ("nan", "inf", "-inf", "1e999"):
        with pytest.raises(click.BadParameter, match="finite|range"):
            Number(0).convert(text, None, None)
