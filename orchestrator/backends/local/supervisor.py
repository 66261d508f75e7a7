"""The supervisor of one experiment on this machine.

`python -P -m surreal.orchestrator.backends.local.supervisor FOLDER LOCK` leaves its caller and returns at once.

It starts every process, starts again what dies, and ends the run when the role with `ends_run` is done. Between events
it sleeps in select(): a signal wakes it (SIGCHLD: a process exited; SIGTERM: stop and save; SIGINT: end at once).
LOCK is the inherited, locked descriptor of supervisor.lock: it stays locked for as long as this process lives.
"""

import os
import platform
import shutil
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.local import os_process as pids
from surreal.orchestrator.backends.local.launcher import Launcher, make_socket_folder
from surreal.orchestrator.backends.local.os_process import Wakeup
from surreal.orchestrator.backends.local.process import Member
from surreal.orchestrator.backends.local.record import RunRecord, processes_of
from surreal.orchestrator.backends.restart_policy import Verdict, decide, describe, feeds_the_run, ordinal
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder, read_json, tail_lines
from surreal.orchestrator.run.status import State, read_progress
from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import LOCAL_STOP_GRACE_S

LINGER = 5.0
"""Seconds that processes have to end by themselves after the run is done; the learner tells them over the wire."""
NEVER = float("inf")
REASON_LINES = 5
"""Last lines of a process's log that are quoted when it fails the run."""


@dataclass
class Ending:
    """How the run is being ended; times are on the monotonic clock."""

    state: State
    reason: str
    terminate_at: float
    kill_at: float


class Supervisor:
    """One run: its members, its record on disk, and how it ends."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.plan = Plan.from_json(folder.plan.read_text())
        self.ending: Ending | None = None
        self.wakeup = Wakeup()
        before = {process.name: process.incarnation for process in RunRecord.read(folder).processes}
        processes = processes_of(self.plan)
        for process in processes:
            process.incarnation = before.get(process.name, 0)
        members = [Member(self.plan.role(process.role), process) for process in processes]
        # the one that takes longest to import first
        self.members = sorted(members, key=lambda member: not member.role.ends_run)
        self.record = RunRecord(
            state="running",
            node=platform.node(),
            supervisor=os.getpid(),
            born=pids.born(os.getpid()),
            sockets=str(make_socket_folder(self.plan)),
            processes=processes,
        )
        self.saved: dict[str, Any] = {}
        self.best_steps = read_progress(folder.metrics_jsonl).steps
        # nobody ever writes: the workers see the end of the pipe when this process is gone
        lifeline, self.lifeline_end = os.pipe()
        code = str(folder.code if self.plan.code else read_json(folder.provenance)["code"])
        self.launcher = Launcher(self.plan, folder, Path(self.record.sockets), code, lifeline)

    def run(self) -> None:
        """Supervise until the run is over and every process is gone."""
        try:
            self.step()
            while not self.ending or any(member.is_running for member in self.members):
                self.save()
                self.wakeup.sleep_until(self.next_moment())
                self.step()
        except Exception as error:
            traceback.print_exc()
            self.end("failed", f"the supervisor failed: {error!r}; see surreal logs {self.plan.name} supervisor")
        finally:
            self.clear_away()

    def next_moment(self) -> float | None:
        """When something is to be done if no signal comes first; None for never."""
        if self.ending:
            moments = [at for at in (self.ending.terminate_at, self.ending.kill_at) if at < NEVER]
        else:
            moments = [member.start_at for member in self.members if member.start_at is not None]
        return min(moments, default=None)

    def step(self) -> None:
        """Do all that is due now."""
        for member in self.members:
            code = member.reap()
            if code is not None:
                self.on_exit(member, code)
        if self.wakeup.abort_asked:
            self.end("stopped", "ended at once")
        elif self.wakeup.stop_asked and not self.ending:
            self.say("asked to stop: every process saves what it has and ends")
            self.end("stopped", "", kill_in=LOCAL_STOP_GRACE_S)
        if self.ending:
            self.push_ending(self.ending)
        else:
            now = time.monotonic()
            self.start([member for member in self.members if member.start_at is not None and member.start_at <= now])

    def start(self, due: list[Member]) -> None:
        """Start these processes. Their incarnations are on disk before, so that none is ever used twice."""
        if not due:
            return
        if any(member.role.ends_run for member in due):
            # those that were told of an end that did not come are needed again
            for member in self.members:
                member.start_again_if_done()
        for member in due:
            member.before_start()
        self.save()
        for member in due:
            try:
                member.start(self.launcher)
            except OSError as error:
                self.say(f"{member.name} could not be started: {error}")
                self.on_exit(member, ExitCode.FAILED)
        started = [f"{member.name} (pid {member.record.pid})" for member in due if member.is_running]
        if started:
            self.say(f"started {', '.join(started)}")

    def on_exit(self, member: Member, code: int) -> None:
        """Judge the exit of a process and do what follows."""
        if self.ending:
            # one that missed the word on the wire is sent a signal, and did all there was to do as well
            in_time = code == ExitCode.DONE or (self.ending.state == "succeeded" and code == ExitCode.PREEMPTED)
            member.record.state = "done" if in_time else "stopped"
            return
        progressed = self.note_progress()
        member.count(code, progressed)
        verdict = decide(member.role, code, feeds_the_run(self.plan, member.role.name), member.backoff)
        if verdict is Verdict.AGAIN:
            member.schedule()
            loss = "only its unfinished work is lost" if member.role.expendable else "it resumes from its checkpoint"
            times = ordinal(member.record.restarts + 1)
            self.say(f"{member.name} {describe(code)}, restarting in {member.backoff.delay:g} s ({times} time); {loss}")
        elif verdict is Verdict.RETIRE:
            done = code == ExitCode.DONE
            member.record.state = "done" if done else "failed"
            self.say(
                f"{member.name} is done" if done else f"{member.name} {describe(code)}; the run goes on without it"
            )
        elif verdict is Verdict.SUCCEED:
            member.record.state = "done"
            self.say(f"{member.name} is done at step {self.best_steps:,}: the run succeeded")
            self.end("succeeded", "", terminate_in=LINGER, kill_in=LINGER + LOCAL_STOP_GRACE_S)
        else:
            self.fail(member, code)

    def note_progress(self) -> bool:
        """Has the run got further than at any exit before?"""
        steps = read_progress(self.folder.metrics_jsonl).steps
        progressed = steps > self.best_steps
        self.best_steps = max(steps, self.best_steps)
        return progressed

    def fail(self, member: Member, code: int) -> None:
        """End the run because of this process, quoting the end of its log."""
        member.record.state = "failed"
        tried = (
            f", {ordinal(member.backoff.without_progress)} time without progress"
            if member.backoff.without_progress > 1
            else ""
        )
        self.say(f"{member.name} {describe(code)}{tried}: the run failed")
        log = self.folder.process_log(member.role.name, member.record.index, member.record.incarnation)
        quoted = b"\n".join(tail_lines(log, 4096)[-REASON_LINES:]).decode(errors="replace")
        self.end(
            "failed", f"{member.name} {describe(code)}{tried}; its last lines:\n{quoted}", kill_in=LOCAL_STOP_GRACE_S
        )

    def end(self, state: State, reason: str, terminate_in: float = 0.0, kill_in: float = 0.0) -> None:
        """Begin to end the run: SIGTERM and SIGKILL after so many seconds."""
        now = time.monotonic()
        self.ending = Ending(state, reason, now + terminate_in, now + kill_in)

    def push_ending(self, ending: Ending) -> None:
        """Send the signals that are due."""
        now = time.monotonic()
        if now >= ending.terminate_at:
            ending.terminate_at = NEVER
            self.send(signal.SIGTERM)
        if now >= ending.kill_at:
            ending.kill_at = NEVER
            self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all that run."""
        for member in self.members:
            member.send(number)

    def clear_away(self) -> None:
        """Leave no process and no socket, and the outcome on disk."""
        for member in self.members:
            member.kill()
        shutil.rmtree(self.record.sockets, ignore_errors=True)
        if self.ending:
            self.record.state, self.record.reason = self.ending.state, self.ending.reason
        self.record.supervisor = self.record.born = None
        self.record.sockets = ""
        self.save()
        self.say(f"the run is over: {self.record.state}")

    def save(self) -> None:
        """Write the record if it changed. A full disk costs the newest state, not the run."""
        data = asdict(self.record)
        if data != self.saved:
            try:
                self.record.write(self.folder)
                self.saved = data
            except OSError as error:
                self.say(f"cannot write {self.folder.status}: {error}")

    def say(self, sentence: str) -> None:
        """One line in the supervisor's log, which is its standard output."""
        with suppress(OSError):
            print(f"{datetime.now():%H:%M:%S.%f}"[:-3], "INFO", sentence, flush=True)


def main() -> None:
    """Leave the caller's session and supervise the run in FOLDER."""
    os.umask(0o077)
    os.set_inheritable(int(sys.argv[2]), False)
    # the caller waits for the first process only; the second has no parent to leave a zombie with
    if os.fork() == 0:
        Supervisor(Folder(Path(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
