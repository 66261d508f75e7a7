"""Running a command beside a process of a local run: `surreal exec`."""

import os
import signal
import subprocess
from collections.abc import Sequence

from surreal.orchestrator.backends.local.launcher import environment
from surreal.orchestrator.backends.local.run_files import code_folder, read_plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.log_files import choose_sources
from surreal.protocol.errors import InvalidInput
from surreal.protocol.graph import role_of

SIGNALS = 128
"""A shell gives a command that a signal ended this and the signal's number."""


def execute(folder: Folder, source: str, command: Sequence[str]) -> int:
    """Run a command with the variables of the process `source`, in the run's folder, with its code to import.

    The run need not be running. Raises NotFound for a process that it does not have, InvalidInput for no command.
    """
    plan = read_plan(folder)
    choose_sources(plan.name, plan.processes(), source)
    variables = environment(plan.role(role_of(source)))
    code = code_folder(folder, plan)
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (code, variables.get("PYTHONPATH"))))
    # Ctrl-C is the command's, which shares our terminal; a function, unlike SIG_IGN, is not handed on to it
    # where Ctrl-C was ignored when we were started (nohup), the command ignores it too
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: None)
    try:
        status = subprocess.Popen(command, cwd=folder.path, env=variables).wait()
    except (FileNotFoundError, PermissionError) as error:
        raise InvalidInput(f"cannot run {command[0]!r}: {error.strerror}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return status if status >= 0 else SIGNALS - status
