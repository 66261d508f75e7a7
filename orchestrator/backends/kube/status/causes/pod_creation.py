"""Reasons why the API server refuses pods to a Job, from FailedCreate events: quota, security, webhooks, limits."""

import re

from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.provisioner.kube.objects import clip, condition, dig, text

_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+), used: (.+), limited: (.+)", re.DOTALL)
_MUST = re.compile(r"failed quota: ([^:]+): must specify (.+)", re.DOTALL)
_SECURITY = re.compile(r'violates PodSecurity "([^"]*)": (.*)', re.DOTALL)
_WEBHOOK = re.compile(r'admission webhook "([^"]*)" denied the request:? *(.*)', re.DOTALL)
_PRIORITY = re.compile(r"no PriorityClass with name (\S+) was found")
_POD_SET = re.compile(r"couldn't assign flavors to pod set (\S+): (.+?)\.?(?=; couldn't assign|$)", re.DOTALL)
_UNCOVERED = re.compile(r"resource (\S+) unavailable in ClusterQueue")
_FORBIDDEN = re.compile(r'^(?:Error creating: )?(?:pods? "[^"]*" is forbidden: )?')


def refusal(message: str, role: str) -> str:
    """Turn the text of a FailedCreate event into one sentence with the numbers and the way out."""
    quota, must = _QUOTA.search(message), _MUST.search(message)
    if quota:
        return _quota(quota[1], quota[2], quota[3], quota[4], role)
    if must:
        return f"quota {must[1]} wants {clip(must[2])} of every pod: a LimitRange with defaults in the namespace helps"
    security, webhook, priority = _SECURITY.search(message), _WEBHOOK.search(message), _PRIORITY.search(message)
    if security:
        return f"Pod Security {security[1]} refuses its pods: {clip(security[2])}"
    if webhook:
        return f"the admission webhook {webhook[1]} refuses its pods: {clip(webhook[2]) or 'without a reason'}"
    if priority:
        return f"no PriorityClass {priority[1]}: kubectl get priorityclasses, then spec.roles.{role}.priorityClassName"
    words = clip(_FORBIDDEN.sub("", message)).strip("[]")
    if "usage per" in message:
        return f"a LimitRange of the namespace refuses its pods: {words}; change spec.roles.{role}.resources"
    return f"the API server refuses its pods: {words or 'without a reason'}"


def _quota(name: str, requested: str, used: str, limited: str, role: str) -> str:
    """Write an exceeded quota as `quota gpu: asks requests.nvidia.com/gpu 4, 2 of 4 used`."""
    taken, most = _amounts(used), _amounts(limited)
    parts = [
        f"{what} {asked} more, {taken.get(what, '?')} of {most.get(what, '?')} used"
        for what, asked in _amounts(requested).items()
    ]
    way_out = f"have it raised, or lower spec.roles.{role}.replicas or resources"
    return f"quota {name.strip()}: each asks {clip('; '.join(parts) or requested)}; {way_out}"


def _amounts(text: str) -> dict[str, str]:
    """Parse `requests.cpu=2,pods=1` into pairs."""
    pairs = (pair.partition("=") for pair in text.strip(" .").split(","))
    return {what.strip(): much.strip() for what, _, much in pairs if much}


def waits_for_admission(snapshot: Snapshot) -> bool:
    """Return whether the run is suspended because its queue has not admitted it, or has put it back."""
    return bool(snapshot.plan and snapshot.plan.queue) and snapshot.paused and not stopped_in_queue(snapshot)


def stopped_in_queue(snapshot: Snapshot) -> bool:
    """Did a person stop it, so that its queue does not even try?"""
    return dig(snapshot.workload, "spec", "active") is False


def admission_reason(snapshot: Snapshot, role: str) -> str:
    """Return one sentence on a role of a run that `waits_for_admission`."""
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
    said = clip(_of_role(text(held, "message"), role))
    if not said and condition(snapshot.workload, "QuotaReserved"):
        return f"{where}: quota is reserved, its admission checks are not done"
    uncovered = _UNCOVERED.search(text(held, "message"))
    way_out = f"; have its ClusterQueue cover {uncovered[1]}, which the pods ask for" if uncovered else ""
    return f"{where}: {said}{way_out}" if said else where


def _of_role(message: str, role: str) -> str:
    """Return what Kueue says of one role; all of it where it does not tell roles apart."""
    said = dict(_POD_SET.findall(message))
    return said.get(role, f"no room for {', '.join(said)}") if said else message
