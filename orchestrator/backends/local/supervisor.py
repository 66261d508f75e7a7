"""The supervisor of one experiment on this machine; `daemon.py` starts it.

It starts every process, starts again what dies or hangs, and ends the run when the role with `ends_run` is done.
Between events it sleeps in poll(): a signal wakes it (SIGCHLD: a process exited; SIGTERM: stop and save; SIGINT: end at
once), output of a process, or the next look at their pulse.
"""

import os
import platform
import shutil
import signal
import time
import traceback
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from surreal.orchestrator.backends.local import exits, os_process
from surreal.orchestrator.backends.local.hang_watch import HangWatch
from surreal.orchestrator.backends.local.launcher import Launcher, make_again_if_gone, make_socket_folder
from surreal.orchestrator.backends.local.log_pump import LogPump, LogWriter
from surreal.orchestrator.backends.local.os_process import Wakeup
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.backends.local.record import RunRecord, code_folder, processes_of
from surreal.orchestrator.backends.restart_policy import Outcome, Verdict, decide, describe, feeds_the_run, ordinal
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import State, read_progress
from surreal.orchestrator.run.wiring import ending_role
from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import LOCAL_STOP_GRACE_S
from surreal.protocol.worker.pulse import Board

EXIT_GRACE = 5.0
"""Seconds that processes have to end by themselves after the run is done; the learner tells them over the wire."""
NO_DEADLINE = float("inf")
WORKS_AGAIN_S = 10.0
"""Seconds after which a process that was started again is no longer said to have failed."""


@dataclass
class RunEnd:
    """End of the run in progress; times are on the monotonic clock."""

    state: State
    reason: str
    terminate_at: float
    kill_at: float


class Supervisor:
    """One run: its processes, its record on disk, and how it ends."""

    def __init__(self, folder: Folder, plan: Plan) -> None:
        """Prepare everything and start nothing. Raises OSError, ValueError or InvalidInput where that is impossible."""
        self.folder, self.plan = folder, plan
        self.ending: RunEnd | None = None
        earlier = RunRecord.read(folder)
        before = {process.name: process.incarnation for process in earlier.processes}
        records = processes_of(plan)
        for record in records:
            record.incarnation = before.get(record.name, 0)
        code = code_folder(folder, plan)
        self.best_steps = read_progress(folder).steps
        self.log, self.pump = LogWriter(folder.supervisor_segment), LogPump()
        self.wakeup, born = Wakeup(), os_process.born(os.getpid())
        sockets = make_socket_folder(plan)
        processes = [ManagedProcess(plan.role(record.role), record) for record in records]
        # the one that takes longest to import first
        self.processes = sorted(processes, key=lambda process: not process.role.ends_run)
        # nothing is ever written: the workers see the end of the pipe when this process is gone
        lifeline, self.lifeline_end = os.pipe()
        self.launcher = Launcher(plan, folder, sockets, code, lifeline, Board(len(records)))
        self.hangs = HangWatch(self.launcher, plan.hang_seconds)
        self.record = RunRecord(
            state="running",
            node=platform.node(),
            supervisor=os.getpid(),
            born=born,
            sockets=str(sockets),
            ends_run=ending_role(plan).name,
            processes=records,
            number=earlier.number,
        )
        self.saved: dict[str, Any] = {}
        self.record.reserve(folder)
        self.save()

    def run(self) -> None:
        """Supervise until the run is over and every process is gone."""
        try:
            self.step()
            while not self.ending or any(process.is_running for process in self.processes):
                self.save()
                self.wakeup.sleep_until(self.next_moment(), self.pump)
                self.step()
        except Exception as error:
            self.log.write(traceback.format_exc().encode())
            self.end("failed", f"the supervisor failed: {error!r}; see surreal logs {self.plan.name} supervisor")
        finally:
            self.finish()

    def next_moment(self) -> float:
        """Return when something is to be done if no signal comes first."""
        moments = [self.hangs.next_look, *(process.kill_at for process in self.processes)]
        if self.ending:
            moments += [self.ending.terminate_at, self.ending.kill_at]
        else:
            moments += [process.start_at for process in self.processes if process.start_at is not None]
        return min(moments)

    def step(self) -> None:
        """Handle every exit, signal and deadline that is due now."""
        for process in self.processes:
            code = process.reap(self.pump)
            if code is not None:
                self.on_exit(process, code)
        if self.wakeup.abort_asked:
            self.end("stopped", "ended at once")
        elif self.wakeup.stop_asked and not self.ending:
            self.report("asked to stop: every process saves what it has and ends")
            self.end("stopped", "", kill_in=LOCAL_STOP_GRACE_S)
        now = time.monotonic()
        if now >= self.hangs.next_look:
            self.look()
        for process in self.processes:
            if now >= process.kill_at:
                process.send(signal.SIGKILL)
        if self.ending:
            self.push_ending(self.ending)
        else:
            self.start([process for process in self.processes if (process.start_at or NO_DEADLINE) <= now])

    def look(self) -> None:
        """End what hangs, and forget failures of those that work again."""
        for process, how in self.hangs.look(self.processes):
            self.report(f"{process.name} {how}: ended, its stacks are in its log")
            process.abort(how)
        for process in self.processes:
            if process.record.since is None and process.is_running and process.lived > WORKS_AGAIN_S:
                process.record.reason = ""

    def start(self, due: list[ManagedProcess]) -> None:
        """Start these processes. Their incarnations are on disk before, so that none is ever used twice."""
        if not due:
            return
        self.keep_sockets()
        if any(process.role.ends_run for process in due):
            # those that were told of an end that did not come are needed again
            for process in self.processes:
                process.start_again_if_done()
        for process in due:
            process.before_start()
        self.save()
        for process in due:
            try:
                process.start(self.launcher, self.pump)
            except OSError as error:
                self.report(f"{process.name} could not be started: {error}")
                self.on_exit(process, ExitCode.FAILED)
            exits.remove_old_logs(self.folder, process.record)
        started = [f"{process.name} (pid {process.record.pid})" for process in due if process.is_running]
        if started:
            self.report(f"started {', '.join(started)}")

    def keep_sockets(self) -> None:
        """Make the folder of the sockets again if something removed it, and have those that listen there restart."""
        try:
            gone = make_again_if_gone(self.launcher.sockets)
        except OSError as error:
            self.report(f"{self.launcher.sockets}: {error.strerror}; no process can reach another one there")
            return
        if gone:
            self.report(
                f"{self.launcher.sockets} was removed: made again; processes that listen there save and restart"
            )
            binding = {channel.binds for channel in self.plan.channels}
            for process in self.processes:
                if process.is_running and (process.role.ends_run or process.role.name in binding):
                    process.send(signal.SIGTERM)

    def on_exit(self, process: ManagedProcess, code: int) -> None:
        """Judge the exit of a process and do what follows."""
        outcome = exits.read_outcome(self.folder, process, code)
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
            self.report(exits.restarting(process, outcome))
        elif verdict is Verdict.RETIRE:
            process.record.state = "failed" if failed else "done"
            goes_on = f" {exits.sentence(outcome)}; the run goes on without it"
            self.report(f"{process.name}{goes_on if failed else ' is done'}")
        elif verdict is Verdict.SUCCEED:
            process.record.state = "done"
            self.report(f"{process.name} is done at step {self.best_steps:,}: the run succeeded")
            self.end("succeeded", "", terminate_in=EXIT_GRACE, kill_in=EXIT_GRACE + LOCAL_STOP_GRACE_S)
        else:
            self.fail(process, outcome)

    def note_progress(self) -> bool:
        """Return True if the run has got further than at any exit before."""
        steps = read_progress(self.folder).steps
        progressed = steps > self.best_steps
        self.best_steps = max(steps, self.best_steps)
        return progressed

    def fail(self, process: ManagedProcess, outcome: Outcome) -> None:
        """End the run because of this process, quoting its cause and the end of its output."""
        process.record.state = "failed"
        times = process.backoff.without_progress
        tried = f", {ordinal(times)} time without progress" if times > 1 else ""
        cause = f": {outcome.cause}" if outcome.cause else ""
        self.report(f"{process.name} {describe(outcome.code)}{tried}{cause}: the run failed")
        quoted = exits.last_lines(process.last_output)
        self.end(
            "failed",
            f"{process.name} {describe(outcome.code)}{tried}{cause}; its last lines:\n{quoted}",
            kill_in=LOCAL_STOP_GRACE_S,
        )

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

    def finish(self) -> None:
        """Leave no process and no socket, and the outcome on disk."""
        for process in self.processes:
            process.kill(self.pump)
            if self.ending and self.ending.state == "succeeded":
                process.record.reason, process.record.since = "", None
        shutil.rmtree(self.record.sockets, ignore_errors=True)
        if self.ending:
            self.record.state, self.record.reason = self.ending.state, self.ending.reason
        self.record.supervisor = self.record.born = None
        self.record.sockets = ""
        self.save()
        self.report(f"the run is over: {self.record.state}")

    def save(self) -> None:
        """Write the record if it changed. A disk that takes no file gets it in the room that was kept for it."""
        trouble = self.record.disk or self.pump.trouble
        if not trouble and asdict(replace(self.record, number=0)) == self.saved:
            return
        self.record.number, self.record.disk = self.record.number + 1, ""
        try:
            self.record.write(self.folder)
            self.saved = asdict(replace(self.record, number=0))
        except OSError as error:
            self.record.disk = error.strerror or str(error)
            exits.write_spare(self.record, self.folder)
        if bool(trouble) != bool(self.record.disk):
            says = f"takes no files: {self.record.disk}" if self.record.disk else "takes files again"
            self.report(f"{self.folder.path} {says}")

    def report(self, sentence: str) -> None:
        """Write one line to the supervisor's log."""
        self.log.write(f"{datetime.now():%H:%M:%S.%f}"[:-3].encode() + f" INFO {sentence}\n".encode())
