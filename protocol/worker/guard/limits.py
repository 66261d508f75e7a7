"""Limits of a run: hours, dollars, and minutes without a step. The process that serves control ends the run at them.

It stops itself as a signal would stop it, so that the role saves what it has, and its end is then that of the run:
STOPPED where the hours or dollars are used up, FATAL where the run no longer moves. All backends read the same exit.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.guard.notification import NO_PROGRESS, Notice, tell
from surreal.protocol.worker.guard.spent import Spent
from surreal.protocol.worker.session import Session
from surreal.protocol.worker.termination import TerminationMessage

log = logging.getLogger("surreal")

EVERY_S = 1.0
"""Seconds between two looks."""
WRITE_S = 10.0
"""Seconds between two writes of what is used."""
SAVE_S = 60.0
"""Seconds that a role has to save and return at a limit. One that does not is ended."""


class LimitWatch:
    """The watch over one run, on the I/O thread of the process that serves control."""

    def __init__(self, session: Session, exit_now: Callable[[TerminationMessage], object]) -> None:
        """Take up what earlier attempts used. `exit_now` ends this process where its role does not return."""
        self._session, self._exit_now = session, exit_now
        self._limits: dict[str, Any] = session.wiring.limits
        self._folder = Path(session.wiring.run_folder)
        self.spent = Spent.read(self._folder)
        self._steps, self._told = 0.0, False
        self._lock = threading.Lock()
        self._at = self._written = time.monotonic()
        self.reached: TerminationMessage | None = None
        """The end of the run, once a limit is reached."""
        session.every(EVERY_S, self._look)

    def judge(self, message: TerminationMessage) -> TerminationMessage:
        """Return how the run ends: as the role ended, or at the limit for which it was stopped; note what was used."""
        self._count()
        if self.reached or message.code is not ExitCode.FAILED:
            # one that a person resumes begins to wait for a step; one that is restarted after a crash waits on
            self.spent = self.spent.begun_anew()
        self.spent.write(self._folder)
        if self.reached is None or message.code is ExitCode.DONE:
            return message
        return TerminationMessage(self.reached.exit, self.reached.reason, message.progress)

    def _look(self) -> None:
        moved = self._count()
        self._show()
        if self._at - self._written >= WRITE_S:
            self._written = self._at
            self.spent.write(self._folder)
        if not self._session.stopping.is_set():
            self._tell_of_no_progress(moved)
            if ended := self._beyond():
                self._end(ended)

    def _count(self) -> bool:
        """Count the time since the last look; return True if the run has made a step in it."""
        with self._lock:
            now = time.monotonic()
            passed, self._at = now - self._at, now
            steps = self._session.gauges.of(self._session.wiring.name, "steps") or 0.0
            moved, self._steps = steps > self._steps, steps
            self.spent = self.spent.after(passed, self._limits.get("dollarsPerHour"), moved)
        return moved

    def _show(self) -> None:
        """Have the status and the metrics show what is used."""
        cost = self.spent.dollars if "dollarsPerHour" in self._limits and not self._limits.get("bound") else None
        self._session.gauges.set(self._session.wiring.name, {"hours": self.spent.seconds / 3600, "cost": cost})

    def _beyond(self) -> TerminationMessage | None:
        """Return the end of a run that is beyond a limit, with what helps; None for any other."""
        limits, spent, name = self._limits, self.spent, self._session.wiring.experiment
        more = f"Go on: surreal resume {name} --set spec.limits"
        if "hours" in limits and spent.seconds >= 3600 * limits["hours"]:
            words = f"spec.limits.hours: {limits['hours']:g} are used up. {more}.hours=..."
            return TerminationMessage(ExitCode.STOPPED.name, words)
        if "dollars" in limits and (spent.dollars or 0.0) >= limits["dollars"]:
            words = f"spec.limits.cost: {limits['dollars']:g} $ are used up. {more}.cost=..."
            return TerminationMessage(ExitCode.STOPPED.name, words)
        if "stillMinutes" in limits and spent.still >= 60 * limits["stillMinutes"]:
            minutes = f"no step for {limits['stillMinutes']:g} min"
            words = f"spec.limits.noProgressMinutes: {minutes}. Look at its logs: surreal logs {name}"
            return TerminationMessage(ExitCode.FATAL.name, words)
        return None

    def _end(self, ended: TerminationMessage) -> None:
        """Stop the role, which saves what it has; by force where it does not return."""
        self.reached = ended
        log.warning("%s", ended.reason)
        self._session.stop(ended.reason)

        def insist() -> None:
            time.sleep(SAVE_S)
            self.spent.begun_anew().write(self._folder)
            self._exit_now(ended)

        threading.Thread(target=insist, name="surreal-limit", daemon=True).start()

    def _tell_of_no_progress(self, moved: bool) -> None:
        """Tell a person, once for each time that the run stands still."""
        notify, wiring = self._session.wiring.notify, self._session.wiring
        if moved:
            self._told = False
        if self._told or not notify or self.spent.still < 60 * notify["stillMinutes"]:
            return
        self._told = True
        words = f"{wiring.experiment} makes no progress: no step for {self.spent.still / 60:.0f} min"
        notice = Notice(NO_PROGRESS, wiring.experiment, "running", words)
        threading.Thread(target=_tell_and_log, args=(notify, notice), name="surreal-notify", daemon=True).start()


def _tell_and_log(notify: dict[str, Any], notice: Notice) -> None:
    for problem in tell(notify, notice):
        log.warning("%s", problem)


def tell_of_end(session: Session, message: TerminationMessage) -> None:
    """Tell a person how a run in a cluster ended; on one machine the supervisor does, which sees every end."""
    states = {ExitCode.DONE: "succeeded", ExitCode.STOPPED: "stopped"}
    if session.wiring.notify and message.code in (*states, ExitCode.FATAL, ExitCode.INVALID):
        state, name = states.get(message.code, "failed"), session.wiring.experiment
        _tell_and_log(
            session.wiring.notify, Notice.of_end(name, state, message.reason, message.progress, session.wiring.config)
        )
