"""Reasons why a run waits in its queue: the words of Kueue's Workload, and the number of runs before it."""

from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.provisioner.kube.objects import clip, condition, dig, text


def waits_for_admission(snapshot: Snapshot) -> bool:
    """Return whether the run is suspended because its queue has not admitted it, or has put it back."""
    return bool(snapshot.plan and snapshot.plan.queue) and snapshot.paused and not stopped_in_queue(snapshot)


def stopped_in_queue(snapshot: Snapshot) -> bool:
    """Did a person stop it, so that its queue does not even try?"""
    return dig(snapshot.workload, "spec", "active") is False


def admission_reason(snapshot: Snapshot) -> str:
    """Return one sentence on a run that `waits_for_admission`."""
    queue = snapshot.plan.queue if snapshot.plan else ""
    where = f"waits in queue {queue}"
    if snapshot.workload is None:
        return f"{where}, but Kueue has made no Workload for it; is it there, for JobSets too? surreal doctor --on kube"
    if snapshot.position is not None:
        where += f" behind {snapshot.position} other{'' if snapshot.position == 1 else 's'}"
    held = condition(snapshot.workload, "QuotaReserved", "False")
    evicted = condition(snapshot.workload, "Evicted")
    if evicted and not held:
        return f"{where}: put back, {clip(text(evicted, 'message')) or text(evicted, 'reason')}"
    said = clip(text(held, "message"))
    if not said and condition(snapshot.workload, "QuotaReserved"):
        return f"{where}: quota is reserved, its admission checks are not done"
    return f"{where}: {said}" if said else where
