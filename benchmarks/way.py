"""Way of an experiment file to a running worker: the files that a reader opens who follows the calls.

    python benchmarks/way.py examples/cheetah-ppo.yaml [--python OTHER/.venv/bin/python] [-v]

It runs `surreal create FILE --detach` under `sys.setprofile` in all three processes: the command until it starts the
supervisor, the supervisor until it starts the first worker, that worker until it calls its role. A reader reads each
function once, so each counts at its first call, in the order of the calls. Prints the number of files, of jumps to
another file, and of jumps back to a file that was left before. Code that runs while modules are imported is not counted.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

TRACE = "SURREAL_WAY"
HOOK = """
import os, sys
target = os.environ.get("SURREAL_WAY")
if target:
    log, seen = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT), set()
    def first_call(frame, event, _):
        code = frame.f_code
        if event == "call" and code not in seen and code.co_name != "<module>":
            seen.add(code)
            if "/surreal/" in code.co_filename and not code.co_filename.endswith("__init__.py"):
                os.write(log, f"{os.getpid()} {code.co_filename} {code.co_qualname}\\n".encode())
    sys.setprofile(first_call)
"""
"""Text of a sitecustomize.py, which every Python process imports at its start."""
Call = tuple[str, str, str]
"""Process, file and function."""


def traced(python: str, file: Path) -> list[Call]:
    """Return the first calls of all functions of surreal, over the processes of one detached run, in their order."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "sitecustomize.py").write_text(HOOK)
        trace = Path(folder, "trace")
        environment = {**os.environ, "PYTHONPATH": folder, TRACE: str(trace), "SURREAL_HOME": f"{folder}/home"}
        command = [python, "-P", "-c", "from surreal.cli.main import main; main()"]
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*command, "create", file, "--detach"], env=environment, **quiet)
        try:
            while not any(is_role(*line.split()[1:]) for line in trace.read_text().splitlines()):
                pass
        finally:
            plain = {**environment, TRACE: ""}
            name = next(Path(folder, "home").rglob("experiment.yaml")).parent.name
            subprocess.run([*command, "delete", "--yes", name], env=plain, **quiet)
        lines = (line.split() for line in trace.read_text().splitlines())
        return [(process, name.rpartition("/surreal/")[2], function) for process, name, function in lines]


def is_role(file: str, function: str) -> bool:
    """Return True for the function of the role that PPO's worker runs."""
    return file.endswith("ppo/learner.py") and function == "learner"


def story(calls: Sequence[Call]) -> list[tuple[str, str]]:
    """Return (file, function) of the calls that lead to the role: of each process until the next one begins."""
    command = calls[0][0]
    role = next(index for index, (_, *call) in enumerate(calls) if is_role(*call))
    worker = calls[role][0]
    begun = next(index for index, call in enumerate(calls) if call[0] == worker)
    started = next(index for index, call in enumerate(calls) if call[0] != command)
    # The caller waits on between the supervisor's first call and its readiness.
    others = [call for call in calls[started:begun] if call[0] != command]
    parts = [*calls[:started], *others, *(call for call in calls[begun : role + 1] if call[0] == worker)]
    return [(file, function) for _, file, function in parts]


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
    told = story(traced(options.python, options.file.absolute()))
    if options.verbose:
        print("\n".join(f"{file}  {function}" for file, function in told))
    print("files {}, jumps {}, returns {}".format(*count([file for file, _ in told])))


if __name__ == "__main__":
    main()
