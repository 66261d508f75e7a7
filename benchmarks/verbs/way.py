"""Way of an experiment file to a running worker: the files that a reader opens who follows the calls.

    python benchmarks verbs.way examples/cheetah-ppo.yaml [--python OTHER/.venv/bin/python] [-v]

It runs `surreal create FILE --detach` under `sys.setprofile` in all three processes: the command until it hands the run
to the supervisor (which it starts or, if it did so before, sends the folder), the supervisor until it starts the first
worker, that worker until it calls its role. A reader reads each function once, so each counts at its first call, in the
order of the calls. Accessors are understood by their names: a property, or a function of one statement. Not counted:
code that runs while modules are imported, and the opening of sockets below `Node` and `Server`. Prints the
number of files, of jumps to another file, and of jumps back to a file that was left before.
"""

import argparse
import ast
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from learning.ending import own_home

STARTS = "-"
"""Place of a file in the line that a process writes when it starts another one."""
TRACE = "SURREAL_WAY"
HOOK = """
import os, sys
target = os.environ.get("SURREAL_WAY")
if target:
    log, seen = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT), set()
    def aside(frame):
        while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
            if frame.f_code.co_qualname in ("Node.__init__", "Server.__init__"):
                return True
            frame = frame.f_back
        return frame is not None
    def first_call(frame, event, _):
        code = frame.f_code
        if event == "call" and code not in seen and "/surreal/" in code.co_filename and not aside(frame.f_back):
            seen.add(code)
            if code.co_name[0] != "<":
                os.write(log, f"{os.getpid()} {code.co_filename} {code.co_qualname}\\n".encode())
    def started(event, args):
        of_ours = event == "subprocess.Popen" and any("surreal." in str(word) for word in args[1])
        if of_ours or event == "socket.sendmsg":
            os.write(log, f"{os.getpid()} - starts\\n".encode())
    sys.setprofile(first_call)
    sys.addaudithook(started)
"""
"""Text of a sitecustomize.py, which every Python process imports at its start."""
COMPOUND = (ast.With, ast.Try, ast.For, ast.While, ast.If)
Call = tuple[str, str, str]
"""Process, file and function."""


def traced(python: str, file: Path) -> list[Call]:
    """Return the first calls of all functions of surreal, over the processes of one detached run, in their order."""
    with tempfile.TemporaryDirectory() as folder, own_home() as home:
        Path(folder, "sitecustomize.py").write_text(HOOK)
        trace = Path(folder, "trace")
        environment = {**os.environ, "PYTHONPATH": folder, TRACE: str(trace), "SURREAL_HOME": home}
        command = [python, "-P", "-c", "from surreal.cli.main import main; main()"]
        _run([*command, "create", str(file), "--detach"], environment)
        # the last line may be under way
        while not any(is_role(*line.split()[1:]) for line in trace.read_text().split("\n")[:-1]):
            pass
        name = next(Path(home).rglob("experiment.yaml")).parent.name
        _run([*command, "delete", "--yes", name], {**environment, TRACE: ""})
        lines = [line.split() for line in trace.read_text().splitlines()]
        calls = [(process, name.rpartition("/surreal/")[2], function) for process, name, function in lines]
        role = next(index for index, (_, *call) in enumerate(calls) if is_role(*call))
        worker = calls[role][0]
        return [call for index, call in enumerate(calls) if call[0] != worker or index <= role]


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def is_role(file: str, function: str) -> bool:
    """Return True for the function of the role that PPO's worker runs."""
    return file.endswith("ppo/learner.py") and function == "learner"


def story(calls: Sequence[Call]) -> list[tuple[str, str]]:
    """Return (file, function) of the calls that lead to the role: of each process until it starts the next one."""
    command = calls[0][0]
    worker, *_ = next(call for call in calls if is_role(*call[1:]))
    parts = [
        _until_last(STARTS, [call for call in calls if call[0] == command]),
        # The daemon forks the supervisor, so that its first calls are made by its parent.
        _until(STARTS, [call for call in calls if call[0] not in (command, worker)]),
        [call for call in calls if call[0] == worker],
    ]
    # A reader who has read a function in one process need not read it again in the next.
    return list(dict.fromkeys((file, function) for part in parts for _, file, function in part))


def with_text(calls: Sequence[tuple[str, str]], sources: Path) -> list[tuple[str, str]]:
    """Return the calls of functions that a reader has to open: those of more than one statement."""
    short = {file: set(_accessors(ast.parse((sources / file).read_text()))) for file in {file for file, _ in calls}}
    return [(file, function) for file, function in calls if function not in short[file]]


def _accessors(tree: ast.AST, above: str = "") -> Iterator[str]:
    """Yield the qualified names of properties and of functions of one statement."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _accessors(node, f"{above}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(each) for each in node.decorator_list}
            body = node.body[ast.get_docstring(node) is not None :]
            if len(body) == 1 and not isinstance(body[0], COMPOUND) or decorators & {"property", "cached_property"}:
                yield f"{above}{node.name}"


def _until(mark: str, calls: Sequence[Call]) -> Sequence[Call]:
    return calls[: next(index for index, call in enumerate(calls) if call[1] == mark)]


def _until_last(mark: str, calls: Sequence[Call]) -> Sequence[Call]:
    return [call for call in calls[: max(i for i, call in enumerate(calls) if call[1] == mark)] if call[1] != mark]


def count(files: Sequence[str]) -> tuple[int, int, int]:
    """Return the number of different files, of jumps to another file, and of jumps to one that was left before."""
    walk = [file for file, before in zip(files, ["", *files], strict=False) if file != before]
    seen: set[str] = set()
    returns = 0
    for file in walk:
        returns += file in seen
        seen.add(file)
    return len(seen), len(walk) - 1, returns


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--python", default=os.path.abspath(".venv/bin/python"))
    parser.add_argument("-v", "--verbose", action="store_true", help="print every call")
    options = parser.parse_args()
    find = "import surreal.protocol, pathlib; print(pathlib.Path(surreal.protocol.__file__).parents[1])"
    sources = subprocess.run([options.python, "-P", "-c", find], check=True, capture_output=True, text=True).stdout
    told = with_text(story(traced(options.python, options.file.absolute())), Path(sources.strip()))
    if options.verbose:
        print("\n".join(f"{file}  {function}" for file, function in told))
    print("files {}, jumps {}, returns {}".format(*count([file for file, _ in told])))


if __name__ == "__main__":
    main()
