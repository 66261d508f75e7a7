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

from surreal.orchestrator.autoscaling.signs import scaled_role
from surreal.orchestrator.backends.local.change import cannot_write
from surreal.orchestrator.backends.local.hang_watch import HangWatch
from surreal.orchestrator.backends.local.launcher import Launcher, make_again_if_gone, make_socket_folder
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.backends.local.scaling import LocalScaling
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision import exits, os_process
from surreal.orchestrator.supervision.judgement import NO_DEADLINE, Judgement
from surreal.orchestrator.supervision.log_pump import LogPump
from surreal.orchestrator.supervision.os_process import Wakeup
from surreal.orchestrator.supervision.record import RunRecord, code_folder, read_plan
from surreal.protocol.errors import ExitCode
from surreal.protocol.wiring import LOCAL_STOP_GRACE_S
from surreal.protocol.worker.pulse import Board

WORKS_AGAIN_S = 10.0
"""Seconds after which a process that was started again is no longer said to have failed."""


class Supervisor(Judgement[ManagedProcess]):
    """One run: its processes, their output, and when to look at them."""

    def __init__(self, folder: Folder) -> None:
        """Prepare everything and start nothing. Raises OSError, ValueError or InvalidInput where that is impossible."""
        plan = read_plan(folder)
        run, code = RunRecord.next_attempt(folder, plan, platform.node()), code_folder(folder, plan)
        self.pump, self.wakeup = LogPump(), Wakeup()
        run.supervisor, run.born = os.getpid(), os_process.born(os.getpid())
        sockets = make_socket_folder(plan)
        run.sockets = str(sockets)
        processes = [ManagedProcess(plan.role(record.role), record) for record in run.processes]
        # nothing is ever written: the workers see the end of the pipe when this process is gone
        lifeline, self.lifeline_end = os.pipe()
        self.launcher = Launcher(plan, folder, sockets, code, lifeline, Board(len(processes)))
        self.hangs = HangWatch(self.launcher, plan.hang_seconds)
        super().__init__(folder, plan, processes, run)
        scaled = scaled_role(plan)
        self.scaling = LocalScaling(folder, plan, scaled, processes, self.report) if scaled else None
        try:
            self.write()
        except OSError as error:
            # no command could find, and end, a supervisor that no file tells of
            shutil.rmtree(sockets, ignore_errors=True)
            raise cannot_write(folder, error) from None

    @property
    def trouble(self) -> str:
        """The reason why output cannot be written."""
        return self.pump.trouble

    def wait(self) -> None:
        """Sleep until a signal, output of a process or the next moment."""
        self.wakeup.sleep_until(self.next_moment(), self.pump)

    def next_moment(self) -> float:
        """Return when something is to be done if no signal comes first."""
        moments = [self.hangs.next_look, *(process.kill_at for process in self.processes)]
        if self.ending:
            moments += [self.ending.terminate_at, self.ending.kill_at]
        else:
            moments += [process.start_at for process in self.processes if process.start_at is not None]
            moments += [self.scaling.next_look] if self.scaling else []
        return min(moments)

    def step(self) -> None:
        """Handle every exit, signal and deadline that is due now."""
        for process in [each for each in self.processes if each.is_running]:
            code = process.reap(self.pump)
            if code is not None and process.parked and not self.ending:
                process.after_retiring()
                self.report(f"{process.name} has handed over its work: the run goes on without it for now")
            elif code is not None:
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
            if self.scaling and now >= self.scaling.next_look:
                self.scaling.look()
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

    def finish(self) -> None:
        """Leave no process and no socket, and the outcome on disk."""
        for process in self.processes:
            process.kill(self.pump)
        shutil.rmtree(self.record.sockets, ignore_errors=True)
        self.close()
