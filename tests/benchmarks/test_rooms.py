"""Rooms of the benchmarks: each script is listed, starts by its name, and is where documents say."""

import re
import subprocess
import sys

import pytest

from tests.benchmarks.suites import ROOT

BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = {
    ".".join(path.relative_to(BENCHMARKS).with_suffix("").parts): path
    for path in sorted(BENCHMARKS.rglob("*.py"))
    if not path.name.startswith("__") and path.relative_to(BENCHMARKS).parts[0] not in ("learning", "peers")
}
TEXTS = [
    *(ROOT / name for name in ("Makefile", "README.md", "CONTRIBUTING.md")),
    *(path for folder in ("docs", "benchmarks") for path in (ROOT / folder).rglob("*.md")),
    *(
        path
        for folder in ("algorithms", "benchmarks", "orchestrator", "protocol")
        for path in (ROOT / folder).rglob("*.py")
    ),
]
BY_NAME = re.compile(r"(?:python|PYTHON) benchmarks ([a-z]\w*(?:\.\w+)?)")
BY_PATH = re.compile(r"\bbenchmarks/((?:\w+/)*\w+\.py)\b")


def start(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(BENCHMARKS), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_each_script_is_listed_with_a_line_of_its_own() -> None:
    lines = [line.split(maxsplit=1) for line in start().stdout.splitlines() if line.startswith("  ")]
    assert sorted(name for name, _ in lines) == sorted(SCRIPTS)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nothing", ""),
        ("learning.rows", ""),
        ("suite.py", " (did you mean 'suite'?)"),
        ("alone", " (did you mean 'es.alone'?)"),
        ("es.nope", " (did you mean 'es.alone'?)"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest(name: str, hint: str) -> None:
    done = start(name)
    assert done.returncode == 2
    assert done.stderr == f"Unknown benchmark {name!r}{hint}. `python benchmarks` lists them all.\n"


def test_a_room_is_refused_with_its_scripts() -> None:
    done = start("environments")
    has = "It has: environments.mujoco_versions, environments.stepping. `python benchmarks` lists them all.\n"
    assert done.returncode == 2 and done.stderr == f"Unknown benchmark 'environments'. {has}"


@pytest.mark.parametrize("name", ["es.alone", "suite"])
def test_a_script_is_the_program_under_the_words_that_started_it(name: str) -> None:
    done = start(name, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"usage: python benchmarks {name} [-h]")


def test_a_script_says_what_is_wrong_under_its_name() -> None:
    done = start("es.alone", "--env", "CartPole-v1", "--mark", "1", "--episodes", "64", "--set", "top")
    assert done.returncode != 0 and done.stderr.startswith("es.alone: ")


def test_documents_and_modules_name_scripts_that_there_are() -> None:
    texts = {path: path.read_text() for path in TEXTS}
    by_name = {(path.name, name) for path, text in texts.items() for name in BY_NAME.findall(text)}
    by_path = {(path.name, name) for path, text in texts.items() for name in BY_PATH.findall(text)}
    assert len(by_name) > 40 and {each for each in by_name if each[1] not in SCRIPTS} == set()
    assert len(by_path) > 10 and {each for each in by_path if not (BENCHMARKS / each[1]).is_file()} == set()


def test_a_script_of_a_room_says_how_it_is_started() -> None:
    rooms = {name: path.read_text() for name, path in SCRIPTS.items() if "." in name}
    assert [name for name, text in rooms.items() if name not in BY_NAME.findall(text)] == []


def test_no_script_hides_a_module_of_python_where_it_is_started_by_its_path() -> None:
    assert {path.stem for path in SCRIPTS.values()} & set(sys.stdlib_module_names) == set()
