"""Asking a cluster what there is of an experiment: one request for each kind of object, however many pods there are."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime

from surreal.orchestrator.backends.kube.names import OUTCOME, PLAN_KEY, PROGRESS, ROOT, WORKER, query, selector
from surreal.orchestrator.backends.kube.status.snapshot import Event, Snapshot, index_of, role_of
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.status import OUTCOMES, Status, progress_of
from surreal.orchestrator.run.usage import Usage, Used, usage_of
from surreal.protocol.errors import NotFound, did_you_mean
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import AbsentError, ApiError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import dig, moment, name_of, number, rows, text
from surreal.provisioner.kube.resources import quantity
from surreal.provisioner.kube.together import together

UNEVENTFUL = ("Scheduled", "Pulled", "Created", "Started", "SuccessfulCreate", "SuccessfulDelete")
"""Reasons of events that every pod has and that explain nothing: thousands of them in a large run."""
EVENTFUL = ",".join(
    ["involvedObject.kind!=Experiment", "involvedObject.kind!=Sweep", *(f"reason!={each}" for each in UNEVENTFUL)]
)
"""Field selector of events that explain something; those of an operator say what was read here before."""
FORBIDDEN = 403
JOB_UID = "kueue.x-k8s.io/job-uid"
"""Label of a Workload: thousands of others may wait in the namespace."""
VISIBILITY = "/apis/visibility.kueue.x-k8s.io/v1beta1/namespaces/{}/localqueues/{}/pendingworkloads"


def names(api: Api) -> list[str]:
    """Return the experiments of the namespace, also those of which only the results are left, in order of name."""
    ours = {MANAGED_BY: OWNER}
    roots = api.list("ConfigMap", query({**ours, ROOT: "true"}))
    claims = api.list("PersistentVolumeClaim", query(ours))
    return sorted({text(each, "metadata", "labels", INSTANCE) for each in (*roots, *claims)} - {""})


LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
"""Names that the objects of a run can have as a label."""


def snapshot(api: Api, name: str, told: Callable[[], Iterable[Event]] | None = None) -> Snapshot:
    """Read all objects of one experiment. Raises NotFound with the nearest name if there are none.

    `told` returns the events of the namespace, for a caller that looks at many runs; they are read here otherwise.
    """
    found = find_snapshot(api, name, told)
    if found is None:
        raise _not_found(api, name)
    return found


def find_snapshot(api: Api, name: str, told: Callable[[], Iterable[Event]] | None = None) -> Snapshot | None:
    """Read all objects of one experiment as `snapshot` does; None if there are none."""
    if not LABEL.fullmatch(name):
        # such as NAME/ROLE, of which the API server says that it cannot parse the selector
        return None
    ours = query(selector(name))
    asks: tuple[Callable[[], list[Object]], ...] = (
        lambda: _own(api.find("ConfigMap", name), name),
        lambda: _own(api.find("PersistentVolumeClaim", name), name),
        lambda: api.list("Pod", ours),
        lambda: api.list("Job", ours),
    )
    roots, claims, pods, jobs = together(lambda ask: ask(), asks)
    if not (roots or claims or pods or jobs):
        return None
    root, claim = next(iter(roots), None), next(iter(claims), None)
    plan = _plan(root)
    jobset = api.find("JobSet", name) if plan and plan.queue else None
    workload = _workload(api, jobset) if jobset else None
    held = (root, claim, jobset, workload, *jobs, *pods)
    about = {(text(each, "kind"), name_of(each)) for each in held if each}
    return Snapshot(
        name,
        api.namespace,
        datetime.now(UTC),
        root,
        plan,
        tuple(jobs),
        jobset,
        workload,
        _position(api, plan, workload),
        tuple(pods),
        claim,
        () if _calm(plan, pods) else events(api, about) if told is None else _events_of(told(), about),
        _is_leaving(api, [each for each in (root, *jobs, *pods) if each]),
    )


def _own(found: Object | None, name: str) -> list[Object]:
    """Return the object unless it is another owner's, which may have this name."""
    return [found] if found and text(found, "metadata", "labels", INSTANCE) == name else []


def snapshots(api: Api) -> list[Snapshot]:
    """Read all objects of every experiment of the namespace, in order of name: one list of each kind."""
    ours = query({MANAGED_BY: OWNER})
    found = {kind: _by_run(api.list(kind, ours)) for kind in ("ConfigMap", "PersistentVolumeClaim", "Job", "Pod")}
    every = events(api, None)
    known = {*found["PersistentVolumeClaim"], *(name for name, maps in found["ConfigMap"].items() if _root(maps))}
    return [_one_of_many(api, name, found, every) for name in sorted(known - {""})]


def _one_of_many(
    api: Api, name: str, found: Mapping[str, Mapping[str, list[Object]]], every: Iterable[Event]
) -> Snapshot:
    maps, claims, jobs, pods = (each.get(name, []) for each in found.values())
    root, claim = _root(maps), next((each for each in claims if name_of(each) == name), None)
    held = [each for each in (root, claim, *jobs, *pods) if each]
    plan = _plan(root)
    if (plan and plan.queue) or any(dig(each, "metadata", "deletionTimestamp") for each in held):
        # what few runs have costs a few requests more
        with suppress(NotFound):
            return snapshot(api, name)
    told = _events_of(every, {(text(each, "kind"), name_of(each)) for each in held})
    now = datetime.now(UTC)
    return Snapshot(name, api.namespace, now, root, plan, tuple(jobs), pods=tuple(pods), claim=claim, events=told)


def _events_of(every: Iterable[Event], about: Set[tuple[str, str]]) -> tuple[Event, ...]:
    return tuple(each for each in every if (each.kind, each.name) in about)


def _by_run(things: Iterable[Object]) -> dict[str, list[Object]]:
    """Group objects by the experiment they belong to."""
    found: dict[str, list[Object]] = {}
    for each in things:
        found.setdefault(text(each, "metadata", "labels", INSTANCE), []).append(each)
    return found


def _root(maps: Iterable[Object]) -> Object | None:
    return next((each for each in maps if text(each, "metadata", "labels", ROOT)), None)


def _calm(plan: Plan | None, pods: Sequence[Object]) -> bool:
    """Return whether all processes are there and work or are done, so that no event has anything to explain."""
    at_work = [pod for pod in pods if text(pod, "status", "phase") in ("Running", "Succeeded")]
    leaving = any(dig(pod, "metadata", "deletionTimestamp") for pod in pods)
    wanted = sum(role.replicas for role in plan.roles) if plan else -1
    return not leaving and len(at_work) == len(pods) == wanted


def _is_leaving(api: Api, things: Sequence[Object]) -> bool:
    """Return True if the namespace is being removed; asked only where something of the run is being removed."""
    if not any(dig(each, "metadata", "deletionTimestamp") for each in things):
        return False
    try:
        return text(api.find("Namespace", api.namespace), "status", "phase") == "Terminating"
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return False


def keep_outcome(api: Api, seen: Snapshot, status: Status) -> None:
    """Note on the claim how a run ended, once: the claim is still there when Kubernetes has removed the Jobs."""
    known = text(seen.claim, "metadata", "annotations", OUTCOME)
    told = seen.root or status.state != "stopped"
    if told and seen.claim and status.state in OUTCOMES and known != status.state:
        marks = {OUTCOME: status.state, PROGRESS: json.dumps(asdict(status.progress))}
        api.patch("PersistentVolumeClaim", seen.name, {"metadata": {"annotations": marks}})


def keep_progress(api: Api, seen: Snapshot, progress: Progress) -> None:
    """Note on the root how far a run is, for the time in which no pod of it can say so."""
    noted = progress_of([text(seen.root, "metadata", "annotations", PROGRESS).encode()])
    if seen.root and progress.steps and progress.steps != noted.steps:
        api.patch("ConfigMap", seen.name, {"metadata": {"annotations": {PROGRESS: json.dumps(asdict(progress))}}})


def forget_progress(api: Api, name: str) -> None:
    """Remove the note of the progress of a run that begins anew."""
    api.patch("ConfigMap", name, {"metadata": {"annotations": {PROGRESS: None}}})


def _not_found(api: Api, name: str) -> NotFound:
    known = names(api)
    place = f"namespace {api.namespace} of context {api.context}"
    listing = f"There are: {', '.join(known)}." if known else "There are none: name another namespace with -n."
    return NotFound(f"no experiment {name!r} in {place}{did_you_mean(name, known)}. {listing}")


def _plan(root: Object | None) -> Plan | None:
    try:
        return Plan.from_json(text(root, "data", PLAN_KEY))
    except ValueError:
        return None  # of another version of surreal; what else is there still says a lot


def _workload(api: Api, jobset: Object) -> Object | None:
    """Kueue's object for the JobSet; none where Kueue is not installed, or does not let us look."""
    wanted = text(jobset, "metadata", "uid")
    try:
        found = api.list("Workload", f"{JOB_UID}={wanted}")
    except ApiError:
        return None
    return next((each for each in found if any(o.get("uid") == wanted for o in _owners(each))), None)


def _owners(thing: Object) -> list[Object]:
    return rows(thing, "metadata", "ownerReferences")


def _position(api: Api, plan: Plan | None, workload: Object | None) -> int | None:
    """Return the number of runs before this one in the queue; None if Kueue does not tell or the user may not ask."""
    if not plan or not workload or dig(workload, "status", "admission"):
        return None
    try:
        waiting = rows(api.raw_get(VISIBILITY.format(api.namespace, plan.queue)), "items")
    except ApiError:
        return None
    return next((number(each, "positionInLocalQueue") for each in waiting if name_of(each) == name_of(workload)), None)


def events(api: Api, wanted: Set[tuple[str, str]] | None) -> tuple[Event, ...]:
    """Return the events about objects, given by kind and name; about all if None."""
    try:
        told = api.pages("Event", EVENTFUL)
        return read_events(each for page in told for each in page if wanted is None or _about(each) in wanted)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return ()  # conditions of the objects say most of it too


def read_events(told: Iterable[Object]) -> tuple[Event, ...]:
    """Merge events of the core API and of events.k8s.io: each text once with its newest time, the newest last."""
    found: dict[tuple[str, ...], Event] = {}
    for each in told:
        event = Event(
            *_about(each),
            text(each, "reason"),
            text(each, "message") or text(each, "note"),
            _last(each),
            max(number(each, "series", "count"), number(each, "count"), number(each, "deprecatedCount"), 1),
            each.get("type") == "Warning",
        )
        key = (event.kind, event.name, event.reason, event.text)
        known = found.get(key)
        if not known or event.at >= known.at:
            found[key] = event
    return tuple(sorted(found.values(), key=lambda event: event.at))


def _about(event: Object) -> tuple[str, str]:
    for key in ("involvedObject", "regarding"):
        if dig(event, key):
            return text(event, key, "kind"), text(event, key, "name")
    return "", ""


def _last(event: Object) -> datetime:
    places = (("series", "lastObservedTime"), ("lastTimestamp",), ("deprecatedLastTimestamp",), ("eventTime",))
    told = (moment(event, *place) for place in (*places, ("metadata", "creationTimestamp")))
    return next((at for at in told if at), datetime.fromtimestamp(0, UTC))


CHANNELS = "the numbers of the channels are known all the same"
NO_SERVER = f"this cluster has no metrics-server, so CPU and memory are not known; {CHANNELS}"


def usage(api: Api, snapshot: Snapshot, status: Status) -> Usage:
    """Return what the pods use beside what they asked for. A note says why a number is not known."""
    try:
        metrics = api.list("PodMetrics", query(selector(snapshot.name)))
    except AbsentError:
        return usage_of(status, snapshot.plan, {}, NO_SERVER)
    except ApiError as error:
        return usage_of(status, snapshot.plan, {}, f"CPU and memory are not known: {error}; {CHANNELS}")
    # a pod that is gone may be in there for a while
    of_pod = {name_of(each): _used(each) for each in metrics}
    used = {(role_of(pod), index_of(pod)): of_pod[name_of(pod)] for pod in snapshot.pods if name_of(pod) in of_pod}
    unseen = snapshot.pods and not used
    note = "the metrics-server has not seen its pods yet, which takes up to a minute" if unseen else ""
    return usage_of(status, snapshot.plan, used, note)


def _used(metrics: Object) -> Used:
    """Return the use of the container that runs the process."""
    for each in rows(metrics, "containers"):
        if each.get("name") == WORKER:
            cpu, memory = dig(each, "usage", "cpu"), dig(each, "usage", "memory")
            return Used(round(quantity(str(cpu)), 3), int(quantity(str(memory))))
    return Used()
