"""What has happened to a run in a cluster, one sentence each, as the supervisor of a local run would say it.

There is no supervisor: the sentences are worked out from the objects, each time somebody looks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from surreal.orchestrator.backend import LogLine
from surreal.orchestrator.backends.logs import SUPERVISOR
from surreal.orchestrator.backends.restarts import ordinal
from surreal.orchestrator.kube.ends import ended_container, exit_code, how_it_ended
from surreal.orchestrator.kube.explain import reasons
from surreal.orchestrator.kube.fields import moment, number, rows, text
from surreal.orchestrator.kube.names import ATTEMPT, CREATED, FAILURES, IGNORED, WORKER, Object
from surreal.orchestrator.kube.snapshot import Snapshot, index_of, role_of
from surreal.orchestrator.kube.state import status_of
from surreal.protocol.errors import ExitCode

MOST_NAMED = 8
"""Processes that one sentence names."""


@dataclass(frozen=True)
class Happening:
    """Something that happened once, to one process or (empty) to the run."""

    at: datetime
    what: str
    who: str = ""
    lasting: bool = False
    """Is so at the moment, whenever it began: `at` is only when that was seen."""

    @property
    def key(self) -> tuple[datetime | None, str, str]:
        """Tells it from all others, also the next time it is seen."""
        return None if self.lasting else self.at, self.what, self.who


def happenings(snapshot: Snapshot) -> list[Happening]:
    """All that the objects tell, in order of time."""
    found = [*_of_the_run(snapshot)]
    for pod in snapshot.pods:
        if role_of(pod) in snapshot.roles:
            found += _of_a_pod(snapshot, pod)
    return sorted(found, key=lambda each: each.at)


def sentences(told: Iterable[Happening]) -> Iterator[LogLine]:
    """One line for each, and one for many processes of which the same is told at the same moment."""
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
    if not status.over:
        for role, sentence in reasons(snapshot).items():
            yield Happening(snapshot.taken, f"{role}: {sentence}", lasting=True)
    else:
        ended = moment(snapshot.job(snapshot.ends_run), "status", "completionTime")
        why = f": {status.reason.splitlines()[0]}" if status.reason else ""
        yield Happening(ended or snapshot.taken, f"the run is over: {status.state}{why}", lasting=True)


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
        at = moment(ended, "state", "terminated", "finishedAt")
        done = exit_code(pod) == ExitCode.DONE
        what = "done:" if done else f"{role}/{index} {how_it_ended(pod, planned, role)}"
        yield Happening(at or snapshot.taken, what, f"{role}/{index}" if done else "", lasting=not at)
