"""Autoscaling of a local run, in its supervisor: processes are parked until they are needed, and retire gently."""

import time
from collections.abc import Callable, Sequence

from surreal.orchestrator.autoscaling.decision import Autoscaler, Decision
from surreal.orchestrator.autoscaling.signs import bounds_of, signs_in
from surreal.orchestrator.backends.local.process import ManagedProcess
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.home import Folder
from surreal.protocol.worker.signals import RETIRE_SIGNAL

LOOK_S = 10.0
"""Seconds between two looks."""


class LocalScaling:
    """The processes of the one role whose number changes."""

    def __init__(
        self,
        folder: Folder,
        plan: Plan,
        role: PlannedRole,
        processes: Sequence[ManagedProcess],
        report: Callable[[str], None],
    ) -> None:
        """Park the processes of `role` beyond the least; `report` writes a line to the supervisor's log."""
        self._folder, self._plan, self._role, self._report = folder, plan, role, report
        self._processes = [each for each in processes if each.record.role == role.name]
        self._processes.sort(key=lambda each: each.record.index)
        self._autoscaler = Autoscaler(bounds_of(role))
        self.next_look = time.monotonic() + LOOK_S
        for process in self._processes[role.least or 0 :]:
            process.park()

    def look(self) -> None:
        """Decide, and start or retire processes. Call it when `next_look` has come."""
        self.next_look = time.monotonic() + LOOK_S
        working = [each for each in self._processes if not each.parked]
        signs = signs_in(self._folder, self._plan, self._role, len(working))
        decision = self._autoscaler.look(signs, time.monotonic())
        if decision is not None:
            self._follow(decision, working)

    def _follow(self, decision: Decision, working: Sequence[ManagedProcess]) -> None:
        self._report(f"{self._role.name}: {len(working)} -> {decision.actors}: {decision.reason}")
        for process in [each for each in self._processes if each.parked][: max(0, decision.actors - len(working))]:
            process.unpark()
        for process in working[decision.actors :]:
            process.retire(RETIRE_SIGNAL)
