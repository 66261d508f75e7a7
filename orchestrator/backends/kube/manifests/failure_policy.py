"""The exit codes of workers as a Job's podFailurePolicy: what `backends.restarts` does here, Kubernetes does there.

exit                       role that the run needs, or that feeds it   any other (an evaluator)
evicted, preempted, drain  again, not counted                          again, not counted
PREEMPTED                  again, not counted                          again, not counted
FATAL, INVALID             its Job fails, and with it the run          its Job fails, the run goes on; in a JobSet,
                                                                       where that would fail all, again, counted
anything else, signal      again, counted for each index               again, counted for each index
"""

from typing import Any

from surreal.orchestrator.backends.restart_policy import feeds_the_run
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.protocol.errors import ExitCode

HOPELESS = (ExitCode.INVALID, ExitCode.FATAL)
"""Another start would end the same way."""
NEEDED_TRIES, EXPENDABLE_TRIES = 20, 1000
"""Failures of one index until it is given up. Killed and deleted pods count, and spot machines are taken all day."""


def pod_failure_rules(plan: Plan, role: PlannedRole) -> list[dict[str, Any]]:
    """Return the rules of a role's podFailurePolicy. The first that fits decides; any other failure is counted."""
    rules: list[dict[str, Any]] = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        _on_exit("Ignore", (ExitCode.PREEMPTED,)),
    ]
    if not plan.queue or can_fail(plan, role):
        rules.append(_on_exit("FailJob", HOPELESS))
    return rules


def can_fail(plan: Plan, role: PlannedRole) -> bool:
    """Return whether the run fails when this role cannot go on."""
    return not role.expendable or feeds_the_run(plan, role.name)


def tries(role: PlannedRole) -> int:
    """Counted failures of one index until it is given up."""
    return EXPENDABLE_TRIES if role.expendable else NEEDED_TRIES


def _on_exit(action: str, codes: tuple[ExitCode, ...]) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": "In", "values": sorted(int(code) for code in codes)}}
