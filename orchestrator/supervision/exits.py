"""The exit of a process: what it left behind, and the sentences that say so."""

import re
from contextlib import suppress
from dataclasses import replace

from surreal.orchestrator.backends.restart_policy import Outcome, describe, ordinal, outcome_of
from surreal.orchestrator.plan.model import PlannedRole
from surreal.orchestrator.run.describe import one_line, plain_line
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.process import SupervisedProcess
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.pulse import stuck_at
from surreal.protocol.worker.termination import TerminationMessage

REASON_LINES = 5
"""Last lines of a process's output that are quoted when it fails the run."""
KEEP_ATTEMPTS = 20
"""Starts of one process whose logs are kept, beside the first."""
MAX_CAUSE = 300
"""Characters of a cause."""
_FATAL = re.compile(r"^(Fatal Python error: .+|terminate called.+|.*Assertion .+ failed.*)$", re.MULTILINE)
_ENDS = re.compile(r" INFO \S+ ends: \w+$")
"""Last line of a process that ended in order, which tells no more than how it ended."""
_TIME = re.compile(r"^\d\d:\d\d:\d\d\.\d{3} ")


def read_outcome(folder: Folder, process: SupervisedProcess, code: int) -> Outcome:
    """Return what the exit of a process means, from its status, its termination record and its last words."""
    if process.hung:
        return Outcome(code, hang(process))
    path = folder.outcome(process.role.name, process.record.index)
    try:
        record = TerminationMessage.parse(path.read_text())
        if record is None:
            path.write_text("\n")
    except FileNotFoundError:
        record = None if _takes_files(folder) else _believed(code)
    except (OSError, ValueError):
        # the disk is full or broken: the exit status is all there is
        record = _believed(code)
    outcome = outcome_of(code, record)
    words = outcome.cause or last_words(code, process.last_output)
    return replace(outcome, cause="" if outcome.code == ExitCode.DONE else one_line(words, MAX_CAUSE))


def hang(process: SupervisedProcess) -> str:
    """Return why a process was ended that hung, and where by the stacks that it left."""
    at = stuck_at(process.last_output.decode(errors="replace"))
    return f"it hung: it {process.hung}" + (f"; its stack ends in {at}" if at else "")


def _takes_files(folder: Folder) -> bool:
    probe = folder.wiring / ".probe"
    try:
        probe.write_text("\n")
        probe.unlink()
    except OSError:
        return False
    return True


def _believed(code: int) -> TerminationMessage | None:
    names = {int(each): each.name for each in ExitCode}
    return TerminationMessage(names[code], "told to end") if code in names else None


def last_words(code: int, output: bytes) -> str:
    """Return why a process that left no record died, by its output: only what the interpreter says of a signal."""
    text = output.decode(errors="replace")
    if code < 0:
        found = _FATAL.search(text)
        return found[0] if found else ""
    lines = [plain_line(line) for line in text.splitlines() if line.strip()]
    return f"its last line: {_TIME.sub('', lines[-1])}" if lines else ""


def last_lines(output: bytes, cause: str) -> str:
    """Return the end of what a process printed, to be quoted after its `cause`; nothing where that is all there is."""
    lines = [plain_line(line) for line in output.decode(errors="replace").splitlines()[-REASON_LINES:]]
    said = cause.removesuffix("...")  # a long one was cut
    return "\n".join(line for line in lines if not (said and said in line or _ENDS.search(line)))


def sentence(outcome: Outcome) -> str:
    """Return how a process ended and why: `failed (exit 1): ValueError: ...`."""
    return f"{describe(outcome.code)}{because(outcome)}"


def because(outcome: Outcome) -> str:
    """Return `: cause`, without the full stop where another clause follows; nothing for no cause."""
    return f": {outcome.cause.removesuffix('.')}" if outcome.cause else ""


def restarting(process: SupervisedProcess, outcome: Outcome, loss: str) -> str:
    """Return the sentence for a process that will be started again: when, and what is lost, as `loss_of` says it."""
    times = ordinal(process.record.restarts + 1)
    mark = ";" if outcome.cause else ","
    again = f"restarting in {process.backoff.delay:g} s ({times} time); {loss}"
    return f"{process.name} {sentence(outcome)}{mark} {again}"


def loss_of(role: PlannedRole, index: int, folder: Folder, elsewhere: bool) -> str:
    """Return the sentence on what the death of a process costs; `elsewhere` is True where it has files of its own."""
    if role.ends_run and index:
        return f"it takes over the state of {role.name}/0"
    if role.ends_run:
        saved = any(not path.name.startswith((".", "best-")) for path in folder.checkpoints.glob("*"))
        return _goes_on("it resumes from its checkpoint", "checkpoint", saved, elsewhere)
    if role.keeps_snapshots:
        saved = any(folder.state(role.name, index).glob("[!.]*"))
        return _goes_on("it goes on from its last snapshot", "snapshot", saved, elsewhere)
    return "only its unfinished work is lost" if role.expendable else "it begins anew: it keeps no checkpoint"


def _goes_on(how: str, kept: str, saved: bool, elsewhere: bool) -> str:
    if saved:
        return how
    return f"{how}, if it has one" if elsewhere else f"it begins anew: it has no {kept} yet"


def remove_old_logs(folder: Folder, process: ProcessRecord) -> None:
    """Remove the log of an attempt long ago: one that crashes for days would fill the disk."""
    old = process.incarnation - KEEP_ATTEMPTS
    if old > 1:
        for path in folder.logs.glob(f"{process.role}-{process.index}.{old}.*"):
            path.unlink(missing_ok=True)


def write_spare(record: RunRecord, folder: Folder) -> None:
    """Write the spare record, as far as the disk lets us."""
    with suppress(OSError):
        record.write_spare(folder)
