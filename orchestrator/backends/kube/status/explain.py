"""Reasons why a role waits: one sentence with the cluster's numbers and a way out, from conditions and events."""

from collections import Counter
from collections.abc import Sequence

from surreal.orchestrator.backends.kube.names import FAILURES, IGNORED
from surreal.orchestrator.backends.kube.status.causes import images, volumes
from surreal.orchestrator.backends.kube.status.causes.pod_creation import admission_reason, refusal, waits_for_admission
from surreal.orchestrator.backends.kube.status.causes.scheduling import autoscaler, unschedulable
from surreal.orchestrator.backends.kube.status.snapshot import Event, Snapshot
from surreal.orchestrator.backends.kube.status.termination import (
    disruption,
    ended_container,
    exit_code,
    how_it_ended,
    is_failure,
)
from surreal.orchestrator.backends.restart_policy import HEALTHY_SECONDS, ordinal
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.errors import ExitCode
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import clip, condition, members, moment, name_of, number, one_line, rows, text

PATIENCE = 30.0
"""Seconds that something may take before it is worth a word."""
BACKOFF_S, MAX_BACKOFF_S = 10.0, 600.0
"""Seconds that the Job controller waits before it replaces the first pod of an index, and at most."""
WORTH_SAYING_S = 80.0
"""Seconds of such a wait from which on it is said."""
BEGINNING = ("ContainerCreating", "PodInitializing")
"""Reasons of a container that the kubelet has not begun, or of which it has not told the pod yet what went wrong."""
ENOUGH = 2
"""Different sentences of one role; what more there is, these hide."""


def reasons(snapshot: Snapshot) -> dict[str, str]:
    """Role -> why some of its processes do not run, or crashed just now; roles without such are not in it."""
    if waits_for_admission(snapshot):
        return {role: admission_reason(snapshot, role) for role in snapshot.roles}
    if snapshot.paused:
        return {}
    found = {role: _of_role(snapshot, role) for role in snapshot.roles}
    return {role: sentence for role, sentence in found.items() if sentence}


def _of_role(snapshot: Snapshot, name: str) -> str:
    """Return the commonest reasons among the processes of a role."""
    job = snapshot.job(name)
    planned = next((role for role in snapshot.plan.roles if role.name == name), None) if snapshot.plan else None
    wanted = planned.replicas if planned else number(job, "spec", "completions")
    pods = snapshot.pods_of(name)
    given_up = members(text(job, "status", "failedIndexes"), wanted)
    said: Counter[str] = Counter()
    for index, each in pods.items():
        sentence = _of_process(snapshot, each, planned, name, index in given_up or bool(condition(job, "Failed")))
        if sentence:
            said[sentence] += 1
    refused = _refused(snapshot, job, name) if len(pods) < wanted or said else ""
    if refused:
        said[refused] += max(1, wanted - len(pods))
    parts = [_counted(sentence, count, wanted) for sentence, count in said.most_common(ENOUGH)]
    return one_line("; ".join(parts))


def _counted(sentence: str, count: int, wanted: int) -> str:
    return sentence if count >= wanted else f"{count} of {wanted}: {sentence}"


def _of_process(snapshot: Snapshot, pods: Sequence[Object], role: PlannedRole | None, name: str, given_up: bool) -> str:
    """Return why one process does not run, from its pods, the newest last; empty if it runs, is done or starts."""
    pod = pods[-1]
    phase = text(pod, "status", "phase")
    if phase == "Failed":
        return _crashed(pods, role, name, given_up) + _replacement_delay(snapshot, pod, given_up)
    if phase not in ("Pending", "Running"):
        return ""
    if moment(pod, "metadata", "deletionTimestamp"):
        return _ending(snapshot, pod)
    now = _silent_node(pod) if phase == "Running" else _pending(snapshot, pod, role, name)
    crashes = not now and len(pods) > 1 and is_failure(pods[-2])
    if crashes and _seconds_since(snapshot, pod, "metadata", "creationTimestamp") < HEALTHY_SECONDS:
        # it may well crash again: the reason stays, rather than come and go
        return _crashed(pods[:-1], role, name, given_up)
    return now


def _pending(snapshot: Snapshot, pod: Object, role: PlannedRole | None, name: str) -> str:
    placed = condition(pod, "PodScheduled") is not None
    return _starting(snapshot, pod, name) if placed else _unscheduled(snapshot, pod, role, name)


def _unscheduled(snapshot: Snapshot, pod: Object, role: PlannedRole | None, name: str) -> str:
    refused = condition(pod, "PodScheduled", "False")
    if refused is None:
        waited = _seconds_since(snapshot, pod, "metadata", "creationTimestamp")
        return f"the scheduler has not looked at its pod for {_about(waited)}" if waited > PATIENCE else ""
    message = text(refused, "message")
    if text(refused, "reason") == "SchedulingGated":
        return f"held back by scheduling gates: {clip(message)}"
    sentence = volumes.claim_reason(snapshot, message, name) or unschedulable(message, role, name)
    scaling = autoscaler(snapshot.events_of("Pod", name_of(pod)))
    return sentence + (f"; {scaling}" if scaling else "")


def _starting(snapshot: Snapshot, pod: Object, name: str) -> str:
    """Explain a pod that has a node, but whose containers do not run yet."""
    node = text(pod, "spec", "nodeName")
    events = snapshot.events_of("Pod", name_of(pod))
    statuses = (*rows(pod, "status", "initContainerStatuses"), *rows(pod, "status", "containerStatuses"))
    told, lasts = _failed_pull(events)
    for status in statuses:
        reason, message = text(status, "state", "waiting", "reason"), text(status, "state", "waiting", "message")
        if reason in (*images.PULLING, images.INVALID) or (lasts and reason in BEGINNING):
            words = message if '": ' in message or not told else told
            return images.cannot_pull(text(status, "image"), reason, words, node, name)
        if reason.endswith("Error"):
            return volumes.missing_in(message) or f"its container cannot be made ({reason}): {clip(message)}"
    mounts = volumes.mount_reason(events)
    placed = moment(condition(pod, "PodScheduled", "True"), "lastTransitionTime")
    waited = (snapshot.taken - placed).total_seconds() if placed else 0.0
    if mounts or waited < PATIENCE:
        return mounts
    pulling = next((event for event in events if event.reason == "Pulling"), None)
    doing = "pulling its image" if pulling else "mounting volumes and making its container"
    return f"node {node} has been {doing} for {_about(waited)}"


def _failed_pull(events: Sequence[Event]) -> tuple[str, bool]:
    """Return the kubelet's words on the last pull that failed, and whether no other has begun since.

    Its event comes seconds before the status of the pod.
    """
    failed = next((event for event in events if event.reason == "Failed" and "pull" in event.text), None)
    begun = max((event.at for event in events if event.reason == "Pulling"), default=None)
    return (failed.text, begun is None or failed.at >= begun) if failed else ("", False)


def _crashed(pods: Sequence[Object], role: PlannedRole | None, name: str, given_up: bool) -> str:
    """Explain a process whose last pod has failed, with no other yet or, `given_up`, ever."""
    pod = pods[-1]
    ended = how_it_ended(pod, role, name)
    if exit_code(pod) in (ExitCode.FATAL, ExitCode.INVALID):
        return ended
    if not is_failure(pod) and not given_up:
        return f"{ended}; another pod comes, and nothing is counted against it"
    # the annotation knows of pods that are gone, the pods of those that are not in it yet
    failures = max(number(pod, "metadata", "annotations", FAILURES) + 1, sum(map(is_failure, pods)))
    return f"{ended}; {'given up' if given_up else 'restarts'} after the {ordinal(failures)} failure"


def _replacement_delay(snapshot: Snapshot, pod: Object, given_up: bool) -> str:
    """Return how long Kubernetes still waits before it replaces a pod, as the end of a sentence; "" if not for long.

    The Job controller waits BACKOFF_S x 2^n seconds, at most MAX_BACKOFF_S, where n counts all earlier ends of the
    index, evictions too. Only a new Job forgets them.
    """
    ended = moment(ended_container(pod), "state", "terminated", "finishedAt")
    if given_up or not ended:
        return ""
    earlier = sum(number(pod, "metadata", "annotations", key) for key in (FAILURES, IGNORED))
    delay = min(MAX_BACKOFF_S, BACKOFF_S * 2 ** min(earlier, 10))
    left = delay - (snapshot.taken - ended).total_seconds()
    if delay < WORTH_SAYING_S or left <= 0:
        return ""
    again = f"surreal stop {snapshot.name}, then resume, begins the count anew"
    return f"; Kubernetes waits {_about(delay)} before the next pod ({again})"


def _ending(snapshot: Snapshot, pod: Object) -> str:
    """Explain a pod that is told to end: its successor comes only when it is gone."""
    over = _seconds_since(snapshot, pod, "metadata", "deletionTimestamp")
    if over < PATIENCE:
        return f"{disruption(pod) or 'its pod is ending'}; its successor comes when it is gone"
    node = text(pod, "spec", "nodeName")
    force = f"kubectl -n {snapshot.namespace} delete pod {name_of(pod)} --force"
    return f"its pod should have ended {_about(over)} ago, so node {node} may be lost: {force}"


def _about(seconds: float) -> str:
    """Round a time so coarsely that a sentence with it is the same for many pods, and from one look to the next."""
    for minutes in (60, 30, 10, 5, 2, 1):
        if seconds >= 60 * minutes:
            return f"over {minutes} min"
    return f"over {PATIENCE:.0f} s"


def _silent_node(pod: Object) -> str:
    """Explain a pod that is not ready although its containers were: the cluster does not hear of its node."""
    if condition(pod, "Ready", "False") and condition(pod, "ContainersReady"):
        return f"node {text(pod, 'spec', 'nodeName')} does not answer; the pod is replaced when the cluster gives it up"
    return ""


def _refused(snapshot: Snapshot, job: Object | None, role: str) -> str:
    """Return the API server's last refusal of a pod of the Job; empty if the Job has got one since."""
    if job is None:
        return ""
    pods = (pod for each in snapshot.pods_of(role).values() for pod in each)
    born = [at for at in (moment(pod, "metadata", "creationTimestamp") for pod in pods) if at]
    for event in snapshot.events_of("Job", name_of(job)):
        if event.reason == "FailedCreate":
            # times are whole seconds, and a Job may get some of its pods in the second in which others are refused
            over = born and (max(born) - event.at).total_seconds() > 1.0
            return "" if over else refusal(event.text, role)
    return ""


def _seconds_since(snapshot: Snapshot, pod: Object, *path: str) -> float:
    at = moment(pod, *path)
    return (snapshot.taken - at).total_seconds() if at else 0.0
