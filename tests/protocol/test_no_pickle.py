"""Nothing that the network or a file says is ever run: the protocol's own code cannot even name the means."""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest

import surreal.protocol
from surreal.protocol.stream.sender import StreamSender
from surreal.protocol.transport.node import Node

FOLDER = Path(surreal.protocol.__path__[0])
MODULES = sorted(path for path in FOLDER.glob("**/*.py") if not {"bench", "documents"} & set(path.parts))
"""Modules that a process of a run may reach; the benchmarks and the readers of YAML are not among them."""
LIBRARIES = {"msgpack", "numpy", "prometheus_client", "zmq"}
"""What the protocol may import beside the standard library."""
FORBIDDEN = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "subprocess", "ctypes"}
MAY = {"node": {"ctypes"}, "signals": {"ctypes"}, "notification": {"subprocess"}}
"""Module -> its exceptions: malloc's options, sigaction, and the command that the experiment's file names."""
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
    assert {"codec", "sender", "receiver", "publisher", "server", "runner"} <= {module.stem for module in MODULES}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_no_module_imports_or_calls_what_runs_data(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & (
                FORBIDDEN - MAY.get(module.stem, set())
            )
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in FORBIDDEN
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            assert name not in FORBIDDEN_CALLS
            assert not any(keyword.arg == "allow_pickle" for keyword in node.keywords)


def test_only_the_player_of_roles_imports_by_name() -> None:
    users = {str(module.relative_to(FOLDER)) for module in MODULES if "importlib" in module.read_text()}
    assert users == {"__init__.py", "worker/runner.py"}  # which takes the name from the wiring, not from the network


def imports(module: Path) -> Iterator[str]:
    """The full name of every module that `module` imports, also inside functions."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def source_of(name: str) -> Path:
    """The file of a module or of a package."""
    path = FOLDER.joinpath(*name.split(".")[2:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def reachable(name: str) -> set[str]:
    """The modules of surreal that importing `name` can lead to."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        found.add(each := waiting.pop())
        waiting |= {other for other in imports(source_of(each)) if other.startswith("surreal")} - found
    return found


def test_a_process_reaches_nothing_but_the_protocol_and_four_libraries() -> None:
    names = reachable("surreal.protocol.worker.process")
    assert {
        "surreal.protocol." + each
        for each in ("wire.codec", "wire.schema", "transport.packet_socket", "transport.authorization")
    } <= names
    assert all(name.startswith("surreal.protocol") for name in names)
    sources = {source_of(name) for name in names if name != "surreal.protocol"}
    assert sources <= set(MODULES)  # which the tests above have looked at
    others = {each.partition(".")[0] for source in sources for each in imports(source)}
    assert others - {"surreal"} - sys.stdlib_module_names == LIBRARIES & others


def test_receiving_runs_no_code_that_is_data(
    start: Callable[..., Popen[str]], make_node: Callable[..., Node], tcp_address: str
) -> None:
    child = start("audited_receiver", tcp_address, 20)
    sender = StreamSender(make_node("actor/0"), tcp_address, 4)
    for i in range(20):
        sender.send(
            {"x": np.full(10_000, i), "y": np.ones(())}, {"i": i, "what": [b"\x80\x04.", {"a": None}]}, timeout=30
        )
    assert sender.flush(120)
    sender.close()
    output, _ = child.communicate()
    assert (child.returncode, output) == (0, "")
