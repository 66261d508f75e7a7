"""State of one experiment in a cluster at one moment, as plain JSON: taken by `observe`, read by everything else."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from surreal.orchestrator.backends.kube.names import COMPONENT, CREATED
from surreal.orchestrator.plan.model import Plan
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, moment, name_of, number, text

INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation and label that Kubernetes gives the pods of an Indexed Job."""


@dataclass(frozen=True)
class Event:
    """Something that Kubernetes told of an object, the same told again being one."""

    kind: str
    """Kind of the object: Pod, Job..."""
    name: str
    reason: str
    """One word: FailedScheduling, BackOff..."""
    text: str
    at: datetime
    """Time when it was last told."""
    count: int
    warning: bool


@dataclass(frozen=True)
class Snapshot:
    """The objects of one experiment; with the claim alone, the run's results are all that is left of it."""

    name: str
    namespace: str
    taken: datetime
    root: Object | None = None
    plan: Plan | None = None
    """None without a root, or where another version of surreal wrote a plan that this one cannot read."""
    jobs: tuple[Object, ...] = ()
    jobset: Object | None = None
    workload: Object | None = None
    """Kueue's object for the JobSet."""
    position: int | None = None
    """Runs that its queue admits first."""
    pods: tuple[Object, ...] = ()
    claim: Object | None = None
    events: tuple[Event, ...] = ()
    """Events of all these, the newest last; those of an uneventful start are left out."""
    leaving: bool = False
    """True if the namespace is being removed."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles in the plan's order; without a plan, those that have Jobs."""
        if self.plan:
            return tuple(role.name for role in self.plan.roles)
        return tuple(dict.fromkeys(role for role in map(role_of, self.jobs) if role))

    @property
    def ends_run(self) -> str:
        """The role whose end is the run's; empty without a plan."""
        return next((role.name for role in self.plan.roles if role.ends_run), "") if self.plan else ""

    @property
    def created(self) -> bool:
        """True once all objects that `create` makes are there."""
        return bool(text(self.root, "metadata", "annotations", CREATED))

    @property
    def paused(self) -> bool:
        """True while all its Jobs are suspended."""
        held = [self.jobset] if self.jobset else list(self.jobs)
        return bool(held) and all(dig(each, "spec", "suspend") is True for each in held)

    def job(self, role: str) -> Object | None:
        """Return the Job of a role."""
        return next((job for job in self.jobs if role_of(job) == role), None)

    def pods_of(self, role: str) -> dict[int, list[Object]]:
        """Index -> its pods, the newest last."""
        return self._pods.get(role, {})

    def events_of(self, kind: str, name: str) -> list[Event]:
        """Return the events of one object, the newest first."""
        return self._events.get((kind, name), [])

    @cached_property
    def _pods(self) -> dict[str, dict[int, list[Object]]]:
        found: dict[str, dict[int, list[Object]]] = {}
        for pod in sorted(self.pods, key=_born):
            found.setdefault(role_of(pod), {}).setdefault(index_of(pod), []).append(pod)
        return found

    @cached_property
    def _events(self) -> dict[tuple[str, str], list[Event]]:
        found: dict[tuple[str, str], list[Event]] = {}
        for event in reversed(self.events):
            found.setdefault((event.kind, event.name), []).append(event)
        return found


def role_of(thing: Object) -> str:
    """Return the role that an object belongs to; empty for none."""
    return text(thing, "metadata", "labels", COMPONENT)


def index_of(pod: Object) -> int:
    """Return the index of the process that a pod runs, within its role."""
    return number(pod, "metadata", "annotations", INDEX)


def _born(pod: Object) -> tuple[float, str]:
    at = moment(pod, "metadata", "creationTimestamp")
    return (at.timestamp() if at else 0.0, name_of(pod))
