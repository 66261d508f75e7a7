"""Judgement of runs that will never work: pods that cannot start, processes that never make a step.

Only a run without any step is judged: later trouble may pass, and hours of training lie behind it. A pod that waits for
room is no fault: a quota or an autoscaler may give it.
"""

from dataclasses import dataclass

from surreal.orchestrator.backends.kube.names import CREATED
from surreal.orchestrator.backends.kube.status.causes.images import INVALID, PULLING
from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import needed
from surreal.orchestrator.run.status import duration
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import moment, rows, text

FAULTS = (
    *PULLING,
    INVALID,
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
"""Reasons of a waiting container that do not pass by themselves."""
SOON_S = 1.0
"""Seconds until the next look at what was begun just now."""
EARLY_S = 30.0
"""Seconds in which what refuses a run tells so."""


@dataclass(frozen=True)
class Patience:
    """Seconds that a run without any step has; 0 is for ever."""

    start: float = 300.0
    """For a pod whose container cannot start."""
    first_step: float = 3600.0
    """For the process that ends the run, while it runs."""


@dataclass(frozen=True)
class Judgement:
    """Reason to end a run, or the seconds until the next look is due."""

    reason: str = ""
    again: float | None = None


def judge(seen: Snapshot, progress: Progress, patience: Patience) -> Judgement:
    """Return whether a run is to be ended. `progress` is what its pod showed just now."""
    if progress.steps or not seen.plan or not seen.created or seen.paused:
        return Judgement()
    found = _cannot_start(seen, patience)
    if found.reason or not patience.first_step or progress.progress_age is None:
        return found
    left = patience.first_step - progress.progress_age
    if left <= 0:
        worked = duration(progress.progress_age)
        return Judgement(f"no step in {worked} though {seen.ends_run} runs: surreal logs {seen.name} says what it does")
    return Judgement(again=min(left, found.again if found.again is not None else left))


def look_after(seen: Snapshot) -> float:
    """Return the seconds until the next look at a run that waits: as many as it has waited, and later thrice as many.

    A quota or a queue refuses it early, and tells no watch of it. Hundreds that wait for long cost little so.
    """
    begun = moment(seen.root, "metadata", "annotations", CREATED)
    waited = max(SOON_S, (seen.taken - begun).total_seconds()) if begun else SOON_S
    return waited if waited < EARLY_S else 3 * waited


def _cannot_start(seen: Snapshot, patience: Patience) -> Judgement:
    if not patience.start or not seen.plan:
        return Judgement()
    again = None
    why = reasons(seen)
    for role in seen.plan.roles:
        if not needed(seen.plan, role):
            continue
        for pods in seen.pods_of(role.name).values():
            born = moment(pods[-1], "metadata", "creationTimestamp")
            if not born or not _has_fault(pods[-1]):
                continue
            left = patience.start - (seen.taken - born).total_seconds()
            if left <= 0:
                tried = duration(patience.start)
                return Judgement(f"{role.name} did not start in {tried}: {why.get(role.name) or 'see its pods'}")
            again = left if again is None else min(again, left)
    return Judgement(again=again)


def _has_fault(pod: Object) -> bool:
    containers = rows(pod, "status", "initContainerStatuses") + rows(pod, "status", "containerStatuses")
    return any(text(each, "state", "waiting", "reason") in FAULTS for each in containers)
