"""Autoscaling of a local run, in its supervisor: processes are parked until they are needed, and retire gently."""

import time
from collections.abc import Callable, Sequence

from surreal.orchestrator.autoscaling.decision import Autoscaler, Decision
from surreal.orchestrator.autoscaling.signs import bounds_of, scaled_role, signs_in
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder
from surreal.protocol.worker.signals import RETIRE_SIGNAL

LOOK_S = 10.0
"""Seconds between two looks."""
NEVER = float("inf")


class LocalScaling:
    """The processes of the one role whose number changes. Nothing to do where there is none."""

    def __init__(
        self, folder: Folder, plan: Plan, processes: Sequence[ManagedProcess], report: Callable[[str], None]
    ) -> None:
        """Park the processes beyond the least; `report` writes a line to the supervisor's log."""
        self._folder, self._plan, self._report = folder, plan, report
        self._role = scaled_role(plan)
        role = self._role
        self._processes = [each for each in processes if role and each.record.role == role.name]
        self._processes.sort(key=lambda each: each.record.index)
        self._autoscaler = Autoscaler(bounds_of(role)) if role else None
        self.next_look = time.monotonic() + LOOK_S if role else NEVER
        for process in self._processes[role.least if role and role.least else 0 :] if role else ():
            process.park()

    def look(self) -> None:
        """Decide, and start or retire processes. Call it when `next_look` has come."""
        if self._autoscaler is None or self._role is None:
            return
        self.next_look = time.monotonic() + LOOK_S
        working = [each for each in self._processes if not each.parked]
        signs = signs_in(self._folder, self._plan, self._role, len(working))
        decision = self._autoscaler.look(signs, time.monotonic())
        if decision is not None:
            self._follow(decision, working)

    def _follow(self, decision: Decision, working: Sequence[ManagedProcess]) -> None:
        self._report(f"{self._role.name if self._role else ''}: {len(working)} -> {decision.actors}: {decision.reason}")
        for process in [each for each in self._processes if each.parked][: max(0, decision.actors - len(working))]:
            process.unpark()
        for process in working[decision.actors :]:
            process.retire(RETIRE_SIGNAL)
