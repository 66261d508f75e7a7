"""Own code of an experiment, checked before anything starts: in one short process, so that no command imports it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict
from typing import IO

from surreal.algorithms.own_code_check import Finding, Request
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.protocol.errors import InvalidInput

TIMEOUT_S = 60.0
"""Longest time that the check takes: an import of torch from a slow disk, and a simulator."""
QUOTED_LINES = 5


def check_own_code(experiment: Experiment, remote: bool) -> list[str]:
    """Import all that the experiment names as `module:object`; return warnings.

    Raises InvalidInput, at the lines of the experiment, for a module that raises and for a network that does not fit
    the action space. `remote`: modules that are missing here may be installed there, so they are warnings.
    """
    spec = experiment.spec
    env = spec.env.model_dump(mode="json")
    found = _ask(experiment, Request(str(experiment.folder), spec.algorithm.name, spec.algorithm.config, env))
    if found is None:
        return [f"the experiment's own code was not checked: its import took more than {TIMEOUT_S:g} s"]
    if wrong := [(each.path, each.text) for each in found if not (remote and each.missing)]:
        raise experiment.source.invalid(wrong)
    return [f"{experiment.source.locate(each.path)}: not checked here: {each.text}" for each in found]


def _ask(experiment: Experiment, request: Request) -> list[Finding] | None:
    """Return what the check found; None if it takes too long. Raises InvalidInput if the code ended its process."""
    ending = next(role.name for role in experiment.algorithm.roles if role.ends_run)
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
        asked.write(json.dumps(asdict(request)).encode())
        asked.seek(0)
        # The process sees what a worker sees: its environment variables, and no file of the present folder.
        with tempfile.TemporaryDirectory(prefix="surreal-") as empty:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.algorithms.own_code_check"],
                stdin=asked,
                stdout=answer,
                stderr=words,
                cwd=empty,
                env={**os.environ, **experiment.spec.roles[ending].env},
                start_new_session=True,
            )
            try:
                code = process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                return None
            finally:
                # The code may have started processes of its own.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        try:
            return [Finding(tuple(each.pop("path")), **each) for each in json.loads(_read(answer))]
        except ValueError:
            said = "\n".join(_read(words).splitlines()[-QUOTED_LINES:])
            text = f"the experiment's own code ended the process that imported it (exit {code})"
            raise InvalidInput(
                f"{experiment.source.name}: {text}. Correct the module that does.\n{said}".rstrip()
            ) from None


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
