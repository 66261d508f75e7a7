"""Inspection of an experiment before anything starts: in one short process, which foreign code may end or hang.

Of foreign code, commands import only an algorithm's own module, which describes the roles.
"""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from surreal.algorithms.inspection import Finding, Report, Request
from surreal.algorithms.own_code import ENV
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from surreal.algorithms.environments.spaces import View

TIMEOUT_S = 60.0
"""Longest time that the inspection takes: an import of torch from a slow disk, and a simulator."""
RESET_S = 2.0
"""Further time that the first reset of the environment is waited for; a slower one is left to the run."""
QUOTED_LINES = 5


class Inspection:
    """A look at one experiment that begins at once and goes on beside its caller.

    A context manager, which leaves no process.
    """

    def __init__(self, experiment: Experiment, remote: bool, view: "View | None" = None) -> None:
        """Begin. `remote` says that the run is elsewhere: what is missing here may be there.

        With a `view` only the environment is made, for its `spaces`.
        """
        self._source = experiment.source
        self._process = _Inspector(experiment, remote, view)

    @property
    def spaces(self) -> dict[str, Any]:
        """The spaces of observation and action in the asked view, as a policy record has them.

        Raises InvalidInput, at the line of the experiment, for an environment that cannot be made here.
        """
        report = self._report
        if report.spaces is None:
            raise self._source.invalid((each.path or ENV, each.text) for each in report.findings)
        return report.spaces

    @property
    def note(self) -> str:
        """Sentence about the network; empty where there is none. Raises InvalidInput as `warnings` does."""
        return self._report.note

    @property
    def warnings(self) -> list[str]:
        """Sentences on what could not be checked here, and on what has no effect.

        Raises InvalidInput, at the lines of the experiment, for code that raises or ends its process, for a network
        that does not fit the spaces, and for an environment that no start could use.
        """
        return [
            f"{self._source.locate(each.path)}: {'' if each.certain else 'not checked here: '}{each.text}"
            if each.path
            else each.text
            for each in self._report.findings
        ]

    @cached_property
    def _report(self) -> Report:
        first = self._process.report(TIMEOUT_S)
        if first is None:
            why = f"importing its code and making its environment took more than {TIMEOUT_S:g} s"
            return Report((Finding((), f"the experiment was not checked: {why}"),))
        self._refuse(first)
        second = self._process.report(RESET_S) or Report()
        self._refuse(second)
        return Report(first.findings + second.findings, first.note, first.spaces)

    def _refuse(self, report: Report) -> None:
        if wrong := [(each.path, each.text) for each in report.findings if each.refused]:
            raise self._source.invalid(wrong)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.end()


class _Inspector:
    """The process. It sees what a worker sees: its environment variables, and no file of the present folder."""

    def __init__(self, experiment: Experiment, remote: bool, view: "View | None") -> None:
        spec = experiment.spec
        folder, env = str(experiment.code_folder), experiment.env
        request = Request(folder, spec.algorithm.name, spec.algorithm.config, env, remote, view)
        ending = next(role.name for role in experiment.algorithm.roles if role.ends_run)
        self._name, self._read = experiment.source.name, b""
        self._open, self._answered = True, False
        with ExitStack() as files:
            asked = files.enter_context(tempfile.TemporaryFile())
            self._words = files.enter_context(tempfile.TemporaryFile())
            asked.write(json.dumps(asdict(request)).encode())
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "surreal.algorithms.inspection"],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=self._words,
                cwd=files.enter_context(tempfile.TemporaryDirectory(prefix="surreal-")),
                env={**os.environ, **spec.roles[ending].env},
                start_new_session=True,
            )
            assert self._process.stdout
            self._answer = files.enter_context(self._process.stdout)
            self._files = files.pop_all()

    def report(self, seconds: float) -> Report | None:
        """Return the next report; None if it does not come in time, or if there is none after the first.

        Raises InvalidInput if the code ended the process before the first one.
        """
        line = self._line(seconds)
        if line:
            self._answered = True
            data = json.loads(line)
            found = tuple(Finding(tuple(each.pop("path")), **each) for each in data.pop("findings"))
            return Report(found, **data)
        if not self._open and not self._answered:
            raise self._ended()
        return None

    def _ended(self) -> InvalidInput:
        """Return the error for code that ended its process."""
        code = self._process.wait()
        self._words.seek(0)
        said = "\n".join(self._words.read().decode(errors="replace").splitlines()[-QUOTED_LINES:])
        text = f"the experiment's code ended the process that inspected it (exit {code})"
        return InvalidInput(f"{self._name}: {text}. Correct the module that does.\n{said}".rstrip())

    def _line(self, seconds: float) -> bytes:
        """Return the next line of the answer; nothing at its end, or where it takes longer."""
        deadline = monotonic() + seconds
        while self._open and b"\n" not in self._read:
            ready, _, _ = select.select([self._answer], [], [], max(0.0, deadline - monotonic()))
            if not ready:
                return b""
            part = os.read(self._answer.fileno(), 65536)
            self._read, self._open = self._read + part, bool(part)
        line, _, self._read = self._read.partition(b"\n")
        return line

    def end(self) -> None:
        """Kill the process and all that it started, which the code may have done."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._files.close()
