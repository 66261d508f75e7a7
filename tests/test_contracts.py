"""The habits of the house, held by tests: who imports whom, and how long a module or function may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["algorithms", "charts", "cli", "orchestrator", "protocol", "provisioner"]
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 45

HOMES = {
    "torch": {"algorithms"},
    "gymnasium": {"algorithms"},
    "mujoco": {"algorithms"},
    "safetensors": {"algorithms"},
    "tensorboard": {"algorithms"},
    "zmq": {"protocol"},
    "msgpack": {"protocol"},
    "prometheus_client": {"protocol", "orchestrator"},  # a run and the operator each have numbers of their own
    "yaml": {"protocol", "provisioner"},
    "kubernetes": {"provisioner"},
    "jinja2": {"orchestrator"},
    "ray": {"orchestrator"},
    "starlette": {"orchestrator"},
    "uvicorn": {"orchestrator"},
    "optuna": {"orchestrator"},
    "matplotlib": {"orchestrator"},
    "numba": {"algorithms"},
    "h5py": {"algorithms"},
    "onnx": {"algorithms"},
    "wandb": {"algorithms"},
    "mlflow": {"algorithms"},
    "websocket": {"provisioner"},
    "fsspec": {"protocol"},
    "click": {"cli"},
    "rich": {"cli"},
}
"""A dependency -> the layers that may import it."""

FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


class Source(NamedTuple):
    """The facts about a module that these tests look at."""

    lines: int
    docstring: str | None
    imports: frozenset[str]
    """The first name of every module that it imports, also inside functions."""
    functions: dict[str, int]
    """A function -> its lines."""
    classes: dict[str, set[str]]
    """A class -> its bases."""


@cache
def source(path: Path) -> Source:
    """Parse a module once for all tests."""
    text = path.read_text()
    tree = ast.parse(text)
    imports: set[str] = set()
    functions, classes = {}, {}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                imports |= {alias.name.split(".")[0] for alias in names}
            case ast.ImportFrom(module=module):
                imports.add((module or "").split(".")[0])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[node.name] = (node.end_lineno or node.lineno) - node.lineno + 1
            case ast.ClassDef():
                classes[node.name] = {ast.unparse(base) for base in node.bases}
    return Source(len(text.splitlines()), ast.get_docstring(tree), frozenset(imports), functions, classes)


def test_layers_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_dependency_is_imported_in_its_home_only(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    assert {module for module in source(path).imports if layer not in HOMES.get(module, {layer})} == set()
    assert FORBIDDEN & source(path).imports == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_and_functions_stay_short(path: Path) -> None:
    assert source(path).lines <= MAX_MODULE_LINES
    assert {f: length for f, length in source(path).functions.items() if length > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert source(path).docstring


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_a_typed_package(layer: str) -> None:
    assert (ROOT / layer / "__init__.py").is_file()
    assert (ROOT / layer / "py.typed").is_file()


def errors_of_ours() -> Iterator[tuple[str, Path]]:
    """The classes that derive from an error, by way of any of ours, and their files."""
    bases: dict[str, set[str]] = {}
    homes: dict[str, Path] = {}
    for path in MODULES:
        for each, above in source(path).classes.items():
            bases[each], homes[each] = above, path
    known = {"Exception", "ValueError", "OSError"}
    while found := {each for each, above in bases.items() if each not in known and above & known}:
        known |= found
    yield from ((each, homes[each]) for each in sorted(known & set(homes)) if not each.startswith("_"))


def test_names_of_errors_end_with_error_but_for_the_outcomes_that_users_see() -> None:
    outcomes = ROOT / "protocol" / "errors.py"
    found = list(errors_of_ours())
    assert ("AbsentError", ROOT / "provisioner" / "kube" / "errors.py") in found
    assert [each for each, path in found if path != outcomes and not each.endswith("Error")] == []


def test_the_tree_of_errors_shows_all_of_them() -> None:
    tree = source(ROOT / "protocol" / "errors.py").docstring or ""
    assert [each for each, _ in errors_of_ours() if f"{each} " not in tree] == []
