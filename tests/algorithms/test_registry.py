"""Algorithms are found by name, from one's own folder and from plug-ins, and a broken one is named with its line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from surreal.algorithms import registry
from surreal.algorithms.algorithm import Algorithm, Config, Count
from surreal.algorithms.registry import BUILT_IN, algorithm, algorithms
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import Broadcast, Role, Stream

OWN = """
from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.algorithm import Config
from surreal.protocol.graph import Role

class Settings(Config):
    rate: float = {rate}

MINE = Algorithm("mine", Settings, [Role("learner", "mine_{rate}:learner", ends_run=True)], [])
NUMBER = 3
"""


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)


def plug_in(folder: Path, name: str, value: str) -> None:
    """Install a distribution whose entry point `name` is `value` into `folder`, which is on a path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[surreal.algorithms]\n{name} = {value}\n")


@pytest.fixture(autouse=True)
def fresh_registry() -> Iterator[None]:
    """Forget the plug-ins of other tests."""
    algorithms.cache_clear()
    yield
    algorithms.cache_clear()


def test_an_algorithm_of_ones_own_comes_from_the_experiments_folder(tmp_path: Path) -> None:
    write(tmp_path, "own_algorithm", OWN.format(rate=0.5))
    found = algorithm("own_algorithm:MINE", tmp_path)
    assert found.name == "own_algorithm:MINE"
    assert found(rate=0.25).config == {"rate": 0.25}
    assert "own_algorithm" not in sys.modules and str(tmp_path) not in sys.path


def test_what_a_module_of_ones_own_prints_is_no_data_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loud.py").write_text("print('hello')\n" + OWN.format(rate=0.5))
    algorithm("loud:MINE", tmp_path)
    assert capsys.readouterr() == ("", "hello\n")


def test_two_folders_may_have_different_modules_of_one_name_and_files_may_change(tmp_path: Path) -> None:
    rates = []
    for folder, rate in (("a", 0.1), ("b", 0.2), ("a", 0.3)):
        write(tmp_path / folder, "own_algorithm", OWN.format(rate=rate))
        # A file that changes twice within a second and keeps its size looks unchanged to Python's cache.
        os.utime(tmp_path / folder / "own_algorithm.py", (rate * 1e9, rate * 1e9))
        rates.append(algorithm("own_algorithm:MINE", tmp_path / folder).config().rate)  # type: ignore[attr-defined]
    assert rates == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken:MINE", "x = 1\ny = 1 / 0\n", r"broken\.py:2: ZeroDivisionError: division by zero\. Correct that line"),
        ("broken:MINE", "def f(:\n", r"broken\.py:1: SyntaxError"),
        ("broken:MINE", "import not_installed_anywhere\n", r"broken\.py:1: ModuleNotFoundError.*not_installed"),
        ("broken:MINE", "import sys\nsys.exit(0)\n", r"broken\.py:2: SystemExit: 0"),
        ("broken:NINE", OWN.format(rate=1), r"broken\.py has no 'NINE' \(did you mean 'MINE'\?\)"),
        ("broken:NUMBER", OWN.format(rate=1), r"is no Algorithm: .*broken\.py: NUMBER is a int"),
        ("borken:MINE", "", r"there is no module 'borken' in .* or the installed packages. Put borken\.py there"),
        ("__main__:MINE", "", r"Move it to a module"),
        ("broken:", "", r"is no 'module:object'"),
    ],
)
def test_what_is_wrong_with_ones_own_module_is_said_with_file_and_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    write(tmp_path, "broken", text)
    with pytest.raises(InvalidInput, match=words):
        algorithm(name, tmp_path)


@pytest.mark.skipif(find_spec("gymnasium_robotics") is not None, reason="the extra is installed")
def test_a_known_suite_that_is_missing_is_said_with_its_extra() -> None:
    with pytest.raises(InvalidInput, match=r"Run pip install 'surreal\[robotics\]'"):
        algorithm("gymnasium_robotics:MINE")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidInput,
        match=r"no algorithm 'pop' \(did you mean 'ppo'\?\)\. "
        "There are: ars, awac, bc, cql, crr, ddpg, dqn, es, impala, iql, pevi, ppo, r2d2, sac, td3, td3bc, and",
    ):
        algorithm("pop")


def test_a_plug_in_is_found_by_its_name_and_cannot_replace_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "plugged", OWN.format(rate=0.5))
    plug_in(tmp_path, "plugged", "plugged:MINE")
    plug_in(tmp_path, "ppo", "plugged:MINE")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert algorithm("plugged").name == "mine"
    assert algorithm("ppo") is registry.PPO
    assert set(algorithms()) == {*BUILT_IN, "plugged"}


def test_a_broken_plug_in_is_named_with_file_and_line_and_breaks_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "bad_plugin", "\nraise RuntimeError('no licence')\n")
    plug_in(tmp_path, "bad", "bad_plugin:MINE")
    plug_in(tmp_path, "gone", "no_such_module:MINE")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def python(code: str) -> subprocess.CompletedProcess[str]:
        code = f"from surreal.algorithms.registry import algorithm, algorithms; {code}"
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=200)

    built_in = python("print(algorithm('ppo').name)")
    assert (built_in.stdout, built_in.stderr) == ("ppo\n", "")
    asked = python("algorithm('bad')")
    assert "plug-in 'bad': it is of bad 1.0 and is broken" in asked.stderr
    assert "bad_plugin.py:2: RuntimeError: no licence" in asked.stderr
    every = python("print(sorted(algorithms()))")
    assert every.stdout == f"{sorted(BUILT_IN)}\n"
    assert "plug-in 'gone': it is of gone 1.0 and is broken" in every.stderr


ROLES = [Role("learner", "m:f", ends_run=True), Role("actor", "m:f")]


class Settings(Config):
    """Config of this test."""

    number: Count = 1


@pytest.mark.parametrize(
    ("roles", "channels", "words"),
    [
        ([Role("actor", "m:f")], [], "exactly one role ends the run, here none"),
        ([*ROLES, Role("judge", "m:f", ends_run=True)], [], "here learner and judge"),
        ([*ROLES, Role("actor", "m:f")], [], "role 'actor' appears 2 times"),
        (ROLES, [Stream("a", "actor", "learner"), Broadcast("a", "learner", "actor")], "channel 'a' appears 2 times"),
        (ROLES, [Stream("a", "acter", "learner")], r"connects role 'acter' \(did you mean 'actor'\?\)"),
    ],
)
def test_a_graph_that_cannot_run_is_refused_where_it_is_written(roles: list, channels: list, words: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidInput, match=words):
        Algorithm("mine", Settings, roles, channels)


def test_calling_an_algorithm_checks_its_config() -> None:
    mine = Algorithm("mine", Settings, tuple(ROLES), ())
    assert mine(number=3).config == {"number": 3}
    with pytest.raises(InvalidInput, match=r"mine: numbr: unknown key 'numbr' \(did you mean 'number'\?\)"):
        mine(numbr=3)


@pytest.mark.parametrize(("name", "near"), [("PPO", "ppo"), ("a2c", "ppo"), ("A3C", "impala")])
def test_other_spellings_and_relatives_lead_to_the_algorithm_that_is_there(name: str, near: str) -> None:
    with pytest.raises(InvalidInput, match=rf"no algorithm '{name}' \(did you mean '{near}'\?\)"):
        algorithm(name)


def test_a_module_that_is_missing_belongs_beside_the_experiment_file() -> None:
    with pytest.raises(
        InvalidInput, match=r"in the folder of the experiment or .* Put borken\.py beside the experiment"
    ):
        algorithm("borken:MINE")
