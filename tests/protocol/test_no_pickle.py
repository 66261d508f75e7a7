"""Nothing that the network or a file says is ever run: the protocol's own code cannot even name the means."""

import ast
from pathlib import Path

import pytest

import surreal.protocol.worker

FOLDER = Path(surreal.protocol.worker.__file__).parent
MODULES = sorted(FOLDER.glob("**/*.py"))
FORBIDDEN = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "subprocess", "ctypes"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "recv_pyobj",
    "send_pyobj",
    "recv_serialized",
    "system",
    "popen",
}


def test_there_are_modules_to_look_at() -> None:
    assert {"codec", "stream_sender", "stream_receiver", "broadcast", "control", "worker"} <= {
        module.stem for module in MODULES
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_module_imports_or_calls_what_runs_data(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & FORBIDDEN
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in FORBIDDEN
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            assert name not in FORBIDDEN_CALLS
            assert not any(keyword.arg == "allow_pickle" for keyword in node.keywords)


def test_only_the_worker_imports_by_name() -> None:
    users = {module.stem for module in MODULES if "importlib" in module.read_text()}
    assert users == {"worker"}  # which takes the name from the wiring, not from the network
