"""Timeline of a run in a cluster, one sentence each, as the supervisor of a local run would say it.

There is no supervisor: each reading works the sentences out from the objects.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, FAILURES, IGNORED, WORKER
from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, index_of, role_of
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.backends.kube.status.termination import ended_container, exit_code, how_it_ended
from surreal.orchestrator.backends.restart_policy import ordinal
from surreal.orchestrator.run.log_files import SUPERVISOR, LogLine
from surreal.protocol.errors import ExitCode
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import moment, number, rows, text

MOST_NAMED = 8
"""Processes that one sentence names."""


@dataclass(frozen=True)
class Happening:
    """Something that happened once, to one process or (empty) to the run."""

    at: datetime
    what: str
    who: str = ""


def happenings(snapshot: Snapshot) -> list[Happening]:
    """Return all events that the objects tell of, in order of time."""
    found = [*_of_the_run(snapshot)]
    for pod in snapshot.pods:
        if role_of(pod) in snapshot.roles:
            found += _of_a_pod(snapshot, pod)
    return sorted(found, key=lambda each: each.at)


def sentences(told: Iterable[Happening]) -> Iterator[LogLine]:
    """Yield one line for each, or one for many processes with the same news at the same moment."""
    for (at, what, single), group in groupby(told, key=lambda each: (each.at, each.what, not each.who)):
        who = [each.who for each in group]
        named = ", ".join(who[:MOST_NAMED]) + (f" and {len(who) - MOST_NAMED} more" if len(who) > MOST_NAMED else "")
        yield LogLine(SUPERVISOR, f"{at:%H:%M:%S}.000 INFO {what if single else f'{what} {named}'}", at)


def _of_the_run(snapshot: Snapshot) -> Iterator[Happening]:
    created = moment(snapshot.root, "metadata", "creationTimestamp")
    if created:
        yield Happening(created, f"created in namespace {snapshot.namespace}")
    done = moment(snapshot.root, "metadata", "annotations", CREATED)
    attempt = number(snapshot.root, "metadata", "annotations", ATTEMPT)
    if done and attempt > 1:
        yield Happening(done, f"resumed, attempt {attempt}")
    status = status_of(snapshot)
    if status.over:
        why = f": {status.headline}" if status.reason else ""
        yield Happening(_over_at(snapshot), f"the run is over: {status.state}{why}")
    else:
        for role, sentence in reasons(snapshot).items():
            yield Happening(_waits_since(snapshot, role), f"{role}: {sentence}")


def _over_at(snapshot: Snapshot) -> datetime:
    """Return when the role that ends the run ended, or when its Job's conditions last changed, as by a stop."""
    job = snapshot.job(snapshot.ends_run)
    told = [moment(each, "lastTransitionTime") for each in rows(job, "status", "conditions")]
    return moment(job, "status", "completionTime") or max(filter(None, told), default=snapshot.taken)


def _waits_since(snapshot: Snapshot, role: str) -> datetime:
    """Return when the newest pod of the role, or the run, was made: the time stays the same from look to look."""
    pods: list[Object | None] = [pod for pod in snapshot.pods if role_of(pod) == role]
    made = [moment(each, "metadata", "creationTimestamp") for each in pods or [snapshot.root]]
    return max(filter(None, made), default=snapshot.taken)


def _of_a_pod(snapshot: Snapshot, pod: Object) -> Iterator[Happening]:
    role, index = role_of(pod), index_of(pod)
    planned = snapshot.plan.role(role) if snapshot.plan else None
    ended = ended_container(pod)
    ours = next((each for each in rows(pod, "status", "containerStatuses") if each.get("name") == WORKER), None)
    began = moment(ours, "state", "running", "startedAt") or moment(ours, "state", "terminated", "startedAt")
    before = number(pod, "metadata", "annotations", FAILURES) + number(pod, "metadata", "annotations", IGNORED)
    if began:
        again = f", {ordinal(before + 1)} time" if before else ""
        yield Happening(began, "started", f"{role}/{index} ({text(pod, 'spec', 'nodeName')}{again})")
    if text(pod, "status", "phase") in ("Succeeded", "Failed"):
        at = moment(ended, "state", "terminated", "finishedAt") or moment(pod, "metadata", "creationTimestamp")
        done = exit_code(pod) == ExitCode.DONE
        what = "done:" if done else f"{role}/{index} {how_it_ended(pod, planned, role)}"
        yield Happening(at or snapshot.taken, what, f"{role}/{index}" if done else "")
