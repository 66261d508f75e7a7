"""The judgement of a run: what follows from the exit of a process, and how the run ends; the same on every backend."""

import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from surreal.algorithms.recording.disk import since
from surreal.orchestrator.backends.restart_policy import Outcome, Verdict, decide, describe, feeds_the_run, ordinal
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import LAST_LINES, State, read_progress
from surreal.orchestrator.supervision import exits
from surreal.orchestrator.supervision.log_pump import LogWriter
from surreal.orchestrator.supervision.process import SupervisedProcess
from surreal.orchestrator.supervision.record import RunRecord
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import PROGRESS_KEYS
from surreal.protocol.wiring import LOCAL_STOP_GRACE_S
from surreal.protocol.worker.guard.goal import goal_reached
from surreal.protocol.worker.guard.notification import Notice, tell

EXIT_GRACE = 5.0
"""Seconds that processes have to end by themselves after the run is done; the learner tells them over the wire."""
NO_DEADLINE = float("inf")
Supervised = TypeVar("Supervised", bound=SupervisedProcess)


@dataclass
class RunEnd:
    """End of the run in progress; times are on the monotonic clock."""

    state: State
    reason: str
    terminate_at: float
    kill_at: float


class Judgement(Generic[Supervised]):
    """One run: the verdicts on its processes, its record on disk, and how it ends."""

    elsewhere = False
    """True where processes keep files on other machines, which the folder here may lack."""

    def __init__(self, folder: Folder, plan: Plan, processes: Sequence[Supervised], record: RunRecord) -> None:
        """Take the processes of a run whose folder is there."""
        self.folder, self.plan, self.record = folder, plan, record
        # the one that takes longest to import first, and last those for which there is nothing to do yet
        self.processes = sorted(processes, key=lambda each: (each.role.evaluates, not each.role.ends_run))
        self.ending: RunEnd | None = None
        self.limited = False
        """The run ends because it used up what its limits allow."""
        self.best_steps = self.steps() if any(process.record.incarnation for process in processes) else 0
        """Steps of the run at the last exit of a process; an attempt that is not the first begins with some."""
        self.log = LogWriter(folder.supervisor_segment)
        self.saved: dict[str, Any] = {}
        self.full_since: datetime | None = None
        """The moment from which the disk has taken no record; None while it takes one."""

    def run(self) -> None:
        """Conduct the run until it is over and every process is gone."""
        try:
            self.step()
            while not self.ending or any(process.is_running for process in self.processes):
                self.save()
                self.wait()
                self.step()
        except Exception as error:
            self.log.write(traceback.format_exc().encode())
            self.end("failed", f"the supervisor failed: {error!r}; see surreal logs {self.plan.name} supervisor")
        finally:
            self.finish()

    def wait(self) -> None:
        """Sleep until something happens or is due."""
        raise NotImplementedError

    def step(self) -> None:
        """Handle everything that is due now."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write what is left to write, and let go of everything."""
        raise NotImplementedError

    def steps(self) -> int:
        """Return how far the run has got."""
        return read_progress(self.folder).steps

    def outcome(self, process: SupervisedProcess, code: int) -> Outcome:
        """Return what the exit of a process means."""
        return exits.read_outcome(self.folder, process, code)

    @property
    def trouble(self) -> str:
        """The reason why output of processes cannot be written; empty while it can."""
        return ""

    def on_exit(self, process: SupervisedProcess, code: int) -> None:
        """Judge the exit of a process and do what follows."""
        outcome = self.outcome(process, code)
        if self.ending:
            # one that missed the word on the wire is sent a signal, and did all there was to do as well
            in_time = code == ExitCode.DONE or (self.ending.state == "succeeded" and code == ExitCode.PREEMPTED)
            process.record.state = "done" if in_time else "stopped"
            return
        progressed = self.note_progress()
        process.count(outcome, progressed, begun=self.best_steps > 0)
        feeds = feeds_the_run(self.plan, process.role.name)
        verdict = decide(process.role, outcome.code, feeds, process.backoff, process.record.index)
        failed = outcome.code not in (ExitCode.DONE, ExitCode.PREEMPTED)
        process.record.since, process.record.reason = None, exits.sentence(outcome) if failed else ""
        if verdict is Verdict.AGAIN:
            process.schedule()
            self.report(exits.restarting(process, outcome, self.loss_of(process)))
        elif verdict is Verdict.RETIRE:
            process.record.state = "failed" if failed else "done"
            goes_on = f" {exits.sentence(outcome)}; the run goes on without it"
            self.report(f"{process.name}{goes_on if failed else ' is done'}")
        elif verdict is Verdict.SUCCEED:
            process.record.state = "done"
            goal = goal_reached(self.plan.config, asdict(read_progress(self.folder)))
            why = f"; {goal}" if goal else ""
            self.report(f"{process.name} is done at step {self.best_steps:,}{why}: the run succeeded")
            self.end("succeeded", "", terminate_in=EXIT_GRACE, kill_in=EXIT_GRACE + LOCAL_STOP_GRACE_S)
        elif verdict is Verdict.STOP:
            process.record.state, self.limited = "stopped", True
            self.report(f"{process.name} {exits.sentence(outcome)}: the run is stopped")
            self.end("stopped", outcome.cause, kill_in=LOCAL_STOP_GRACE_S)
        else:
            self.fail(process, outcome)

    def loss_of(self, process: SupervisedProcess) -> str:
        """Return the sentence on what the death of a process costs."""
        return exits.loss_of(process.role, process.record.index, self.folder, self.elsewhere)

    def note_progress(self) -> bool:
        """Return True if the run has got further than at any exit before."""
        steps = self.steps()
        progressed = steps > self.best_steps
        self.best_steps = max(steps, self.best_steps)
        return progressed

    def fail(self, process: SupervisedProcess, outcome: Outcome) -> None:
        """End the run because of this process, quoting its cause and the end of its output."""
        process.record.state = "failed"
        times = process.backoff.without_progress
        tried = f", {ordinal(times)} time without progress" if times > 1 else ""
        self.report(f"{process.name} {describe(outcome.code)}{tried}{exits.because(outcome)}: the run failed")
        quoted = exits.last_lines(process.last_output, outcome.cause)
        reason = f"{process.name} {describe(outcome.code)}{tried}{exits.because(outcome)}"
        self.end("failed", f"{reason}{LAST_LINES}\n{quoted}" if quoted else reason, kill_in=LOCAL_STOP_GRACE_S)

    def end(self, state: State, reason: str, terminate_in: float = 0.0, kill_in: float = 0.0) -> None:
        """Begin to end the run: SIGTERM and SIGKILL after that many seconds."""
        now = time.monotonic()
        self.ending = RunEnd(state, reason, now + terminate_in, now + kill_in)

    def push_ending(self, ending: RunEnd) -> None:
        """Send the signals that are due."""
        now = time.monotonic()
        if now >= ending.terminate_at:
            ending.terminate_at = NO_DEADLINE
            self.send(signal.SIGTERM)
        if now >= ending.kill_at:
            ending.kill_at = NO_DEADLINE
            self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all that run."""
        for process in self.processes:
            process.send(number)

    def close(self) -> None:
        """Leave the outcome on disk, once every process is gone."""
        if self.ending:
            self.record.state, self.record.reason = self.ending.state, self.ending.reason
            for process in self.processes if self.ending.state == "succeeded" else ():
                process.record.reason, process.record.since = "", None
        self.record.supervisor = self.record.born = None
        self.record.sockets = ""
        # before the record says so: who follows the logs leaves then
        self.report(f"the run is over: {self.record.state}")
        self.save()
        self.tell()

    def tell(self) -> None:
        """Tell a person how the run ended, unless a person ended it; say where that did not work."""
        record, notify = self.record, self.plan.notify
        if notify is None or (record.state == "stopped" and not self.limited):
            return
        figures = {
            key: value for key in PROGRESS_KEYS if (value := getattr(read_progress(self.folder), key)) is not None
        }
        notice = Notice.of_end(self.plan.name, record.state, record.reason, figures, self.plan.config)
        for problem in tell(notify.model_dump(), notice):
            self.report(problem)
            record.reason = "\n".join(filter(None, (record.reason, problem)))
        self.save()

    def save(self) -> None:
        """Write the record if it changed. A disk that takes no file gets it in the room that was kept for it."""
        trouble = self.record.disk or self.trouble
        if not trouble and asdict(replace(self.record, number=0)) == self.saved:
            return
        try:
            self.write()
        except OSError as error:
            self.full_since = self.full_since or datetime.now(UTC)
            files = f"status.json{', logs' if self.trouble else ''}"
            self.record.disk = f"{error.strerror or error} ({files}; {since(self.full_since)})"
            exits.write_spare(self.record, self.folder)
        if bool(trouble) != bool(self.record.disk):
            says = f"takes no files: {self.record.disk}" if self.record.disk else "takes files again"
            self.report(f"{self.folder.path} {says}")

    def write(self) -> None:
        """Write the record. Raises OSError."""
        self.record.number, self.record.disk = self.record.number + 1, ""
        self.record.write(self.folder)
        self.saved, self.full_since = asdict(replace(self.record, number=0)), None

    def report(self, sentence: str) -> None:
        """Write one line to the supervisor's log."""
        self.log.write(f"{datetime.now():%H:%M:%S.%f}"[:-3].encode() + f" INFO {sentence}\n".encode())
