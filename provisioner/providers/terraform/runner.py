"""Terraform or OpenTofu at work in a folder of rendered files: its plan as it says it, its progress as it goes.

Whatever happens half-way, the engine's own state knows what is there: the same command again goes on from that.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.providers.base import Say, Step, Watch

NAMES = ("terraform", "tofu")
INSTALL = "https://developer.hashicorp.com/terraform/install or https://opentofu.org/docs/intro/install"
PLAN = "plan.tfplan"
"""A plan holds what is secret: it lies in the cluster's private folder and goes when it has been applied."""
LAST_LINES = 20
CHANGES = 2
"""Exit code of a plan that changes something."""


def find_engine() -> Path:
    """Return the first engine on PATH. Raises InvalidInput that says how to get one."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise InvalidInput(f"PATH: has neither terraform nor tofu. Install one of them: {INSTALL}")


@dataclass(frozen=True)
class Engine:
    """An engine and the folder it works in."""

    binary: Path
    folder: Path

    def init(self) -> None:
        """Fetch the providers and open the state. Raises SurrealError with the engine's words."""
        self._quietly("init", "-input=false", "-no-color")

    def plan(self, say: Say, destroy: bool = False) -> bool:
        """Work out what is to change, saying the engine's plan line by line; False if nothing is.

        Raises SurrealError with the engine's words.
        """
        options = ["-input=false", "-no-color", "-detailed-exitcode", f"-out={PLAN}"]
        with self._running("plan", *options, *(["-destroy"] if destroy else [])) as (process, errors):
            last = _follow(process, say)
        if process.returncode not in (0, CHANGES):
            raise self._failed("plan", errors or last)
        return process.returncode == CHANGES

    def apply(self, watch: Watch) -> None:
        """Apply the last plan. Raises SurrealError with the errors it met, having done all else."""
        progress = _Progress()
        try:
            with self._running("apply", "-input=false", "-json", PLAN) as (process, errors):
                assert process.stdout
                for line in process.stdout:
                    if step := progress.read(line):
                        watch(step)
        finally:
            (self.folder / PLAN).unlink(missing_ok=True)
        if process.returncode:
            raise self._failed("apply", progress.problems or errors)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of what has been applied; empty before."""
        text = "\n".join(self._quietly("output", "-json", "-no-color"))
        return {name: output["value"] for name, output in json.loads(text).items()}

    def resources(self) -> list[str]:
        """Return the addresses of what is there by the engine's state."""
        return [line for line in self._quietly("state", "list", "-no-color") if line and not line.startswith("data.")]

    def _quietly(self, *arguments: str) -> list[str]:
        lines: list[str] = []
        with self._running(*arguments) as (process, errors):
            last = _follow(process, lines.append)
        if process.returncode:
            # there is no state before the first apply, which is no failure of ours
            if arguments[0] == "state" and "No state file" in " ".join(errors):
                return []
            raise self._failed(arguments[0], errors or last)
        return lines

    @contextmanager
    def _running(self, *arguments: str) -> "Iterator[tuple[subprocess.Popen[str], list[str]]]":
        """Return the engine's process, and the last lines of its stderr, which are there once it has ended.

        It is asked to stop, and waited for, when we are interrupted meanwhile.
        """
        errors: list[str] = []
        with TemporaryFile("w+") as stderr:
            process = subprocess.Popen(
                [self.binary, *arguments],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"},
                # so that Ctrl-C reaches it once, by us: twice would make it drop what it is doing
                start_new_session=True,
            )
            try:
                yield process, errors
                process.wait()
            except BaseException:
                _stop(process)
                raise
            finally:
                assert process.stdout
                process.stdout.close()
            stderr.seek(0)
            errors += stderr.read().splitlines()[-LAST_LINES:]

    def _failed(self, command: str, words: Sequence[str]) -> SurrealError:
        said = "\n".join(words).strip() or "it said nothing"
        return SurrealError(
            f"{self.binary.name} {command}: failed:\n{said.rstrip('.')}.\n"
            "What was made stays and is known. Repair the cause and give the same command again, "
            f"or look around with `{self.binary.name} -chdir={self.folder} state list`."
        )


def _follow(process: "subprocess.Popen[str]", say: Say) -> list[str]:
    """Say each line; the last ones."""
    assert process.stdout
    last: list[str] = []
    for line in process.stdout:
        say(line.rstrip("\n"))
        last = [*last[1 - LAST_LINES :], line.rstrip("\n")]
    return last


def _stop(process: "subprocess.Popen[str]") -> None:
    """Ask the engine to finish what it is in the middle of and to write its state, and wait for that."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.communicate()


class _Progress:
    """The engine's JSON lines -> steps. Lines of another kind are no steps."""

    _PASSING = ("apply_start", "apply_progress", "provision_start", "provision_progress")

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self.problems: list[str] = []

    def read(self, line: str) -> Step | None:
        try:
            event = json.loads(line)
            kind, text = event["type"], str(event["@message"])
        except (ValueError, TypeError, KeyError):
            # a provider's panic and the like: not JSON, and worth seeing when it fails
            self.problems = [*self.problems[1 - LAST_LINES :], line.rstrip("\n")]
            return None
        match kind:
            case "planned_change":
                self.total += 1
            case "apply_complete":
                self.done += 1
                return Step(self.done, self.total, text)
            case "diagnostic" if event.get("@level") == "error":
                self.problems.append(_diagnosis(event["diagnostic"]))
            case "change_summary":
                return Step(self.done, self.total, text)
            case _ if kind in self._PASSING:
                return Step(self.done, self.total, text, passing=True)
        return None


def _diagnosis(diagnostic: dict[str, Any]) -> str:
    """Return the address, the summary and the provider's words of an error."""
    parts = [diagnostic.get("address"), diagnostic.get("summary"), diagnostic.get("detail")]
    return ": ".join(str(part).strip() for part in parts if part)
