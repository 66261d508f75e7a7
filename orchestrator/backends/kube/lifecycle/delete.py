"""Ending runs: `stop`, `delete`, and what is left when a run is over."""

import time
from collections.abc import Callable, Iterable, Mapping, Sized
from datetime import UTC, datetime, timedelta

from surreal.orchestrator.backends.kube.names import ATTEMPT, RUN, STOPPED, keys_secret, query, selector
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, role_of
from surreal.orchestrator.backends.kube.status.status import needed
from surreal.protocol.errors import NotFound, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import ABSENT, FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import condition, moment, rows, text

Talk = Callable[[str], None]

HELD = ("Job", "JobSet", "Pod", "Service", "NetworkPolicy", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim")
"""Kinds of which an experiment has objects. Secrets are known by their name: no user needs the right to list them."""
OPTIONAL = "JobSet"
"""The kind that only queued runs have, in clusters that know it."""
OF_A_JOB = "batch.kubernetes.io/job-name"
"""The label of every pod that a Job made."""
PATIENCE = 120.0
"""Seconds for all pods to end: they have 30 s, and a node that is under pressure needs longer to say so."""
COLLECTION = 5.0
"""Seconds that we leave to Kubernetes' garbage collection before we remove what is left ourselves."""
LEFTOVER = timedelta(seconds=60)
"""Processes that still run so long after the one that ends the run never heard of its end."""
LOOK, LONGEST_LOOK = 0.2, 2.0
"""Seconds between the first two looks at what is still there, and between later ones."""


class StillEndingError(SurrealError):
    """Processes of an earlier attempt have not ended yet, and the caller waits for nothing."""


def stop(api: Api, name: str, talk: Talk, marks: Mapping[str, str] | None = None) -> bool:
    """Have all processes save and end, and wait until they have; False if none was to run. `marks` are as in `suspend`.

    Jobs are suspended. A JobSet is removed, since Kueue would start a suspended one again; `resume` makes it anew.
    """
    if not suspend(api, name, marks):
        return False
    _await_pods(api, name, talk, None, PATIENCE)
    return True


def suspend(api: Api, name: str, given: Mapping[str, str] | None = None) -> bool:
    """Have all processes told to save and end, and wait for none; False if none was to run.

    `given` are annotations of the root besides the time.
    """
    root = api.get("ConfigMap", name)
    jobset = api.find_if_allowed("JobSet", name)
    jobs = [] if jobset else [job for job in api.list("Job", query(selector(name))) if not _over(job)]
    active = [job for job in jobs if not job["spec"].get("suspend")]
    if not active and (not jobset or _over(jobset)):
        return False
    marks = {STOPPED: datetime.now(UTC).isoformat(timespec="seconds"), **(given or {})}
    # a root that belongs to a JobSet would go with it
    change: Object = {"annotations": marks, **({"ownerReferences": _holders(jobset)} if jobset else {})}
    api.patch("ConfigMap", root["metadata"]["name"], {"metadata": change})
    if jobset:
        api.delete("JobSet", name)
    for job in active:
        api.patch("Job", job["metadata"]["name"], {"spec": {"suspend": True}})
    return True


def _holders(jobset: Object) -> list[Object] | None:
    """Return the Experiment that owns the JobSet of a run; None for a run of the command line."""
    return [each for each in rows(jobset, "metadata", "ownerReferences") if each["kind"] == "Experiment"] or None


def delete(api: Api, name: str, talk: Talk) -> int:
    """Remove all of an experiment, its results too, and wait until nothing is left.

    Returns how many objects there were, without pods and the Secret.

    Raises NotFound where there is nothing; SurrealError that names what does not go.
    """
    found = _held(api, name)
    if not found:
        raise NotFound(
            f"no experiment {name!r} in namespace {api.namespace} of context {api.context}. List them: surreal list -A"
        )
    pods = len([each for each in found if each["kind"] == "Pod"])
    talk(f"deleting {len(found) - pods} objects and {plural(pods, 'pod')}")
    _remove(api, name, found)
    return len(found) - pods


def remove_run(api: Api, name: str, run: str) -> None:
    """Remove what one run has made, and nothing of another run of the same name."""
    found = [each for each in _held(api, name) if each["metadata"]["labels"].get(RUN) == run]
    _remove(api, name, found, run)


def end_jobs(
    api: Api, name: str, jobs: Iterable[tuple[str, str]], attempt: str, talk: Talk, patience: float = PATIENCE
) -> None:
    """Remove Jobs, each given by kind and name, and wait until only pods of this attempt run.

    Pods of Jobs that an interrupted call removed are waited for as well. Raises StillEndingError at once where
    `patience` is 0, and SurrealError after so many seconds.
    """
    for job in jobs:
        api.delete(*job)
    _await_pods(api, name, talk, attempt, patience)


def end_leftovers(api: Api, snapshot: Snapshot) -> list[str]:
    """End the roles that still run, or wait to, long after the run was decided; which ones those were.

    The role that ends the run is only suspended: all the rest goes with its Job, and there are logs to be read.
    """
    ended = _decided(snapshot)
    if not ended or snapshot.taken - ended < LEFTOVER:
        return []
    left = [job for job in snapshot.jobs if not _over(job) and not job["spec"].get("suspend")]
    for job in left:
        if role_of(job) == snapshot.ends_run:
            api.patch("Job", job["metadata"]["name"], {"spec": {"suspend": True}})
        else:
            api.delete("Job", job["metadata"]["name"])
    return [role_of(job) for job in left]


def _decided(snapshot: Snapshot) -> datetime | None:
    """Return when the role that ends the run was done, or a needed role had failed for good.

    None for a queued run: its JobSet ends its own Jobs.
    """
    if not snapshot.plan or not snapshot.created or snapshot.jobset:
        return None
    jobs = ((role, snapshot.job(role.name)) for role in snapshot.plan.roles)
    decisive = (job for role, job in jobs if job and (role.ends_run or needed(snapshot.plan, role) and _failed(job)))
    return min(filter(None, map(_over, decisive)), default=None)


def _failed(job: Object) -> bool:
    return condition(job, "Failed") is not None


def _over(job: Object) -> datetime | None:
    """Return when a Job or JobSet succeeded or failed for good; None before that."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each["type"] in ("Complete", "Completed", "Failed") and each["status"] == "True":
            return datetime.fromisoformat(each["lastTransitionTime"])
    return None


def _held(api: Api, name: str, kinds: Iterable[str] = HELD) -> list[Object]:
    """Return all objects with the label of the experiment."""
    found = []
    for kind in kinds:
        try:
            found += api.list(kind, query(selector(name)))
        except ApiError as error:
            # A cluster without JobSets answers 404, or 403 where the user has no right to the unknown kind.
            if kind != OPTIONAL or error.status not in (ABSENT, FORBIDDEN):
                raise
    return found


def _remove(api: Api, name: str, found: list[Object], only: str | None = None) -> None:
    """Remove objects, first the root, which takes along what is left, and wait until they are gone."""
    runs = {each["metadata"]["labels"].get(RUN, "") for each in found} | ({only} if only else set())
    roots = [each for each in found if each["kind"] == "ConfigMap" and each["metadata"]["name"] == name]
    # Jobs too: garbage collection would come to them, and then to their pods, in two rounds
    at_once = [each for each in found if each["kind"] in ("PersistentVolumeClaim", "Job", "JobSet")]
    for each in (*roots, *at_once):
        _delete(api, each)
    if any(each["kind"] == "Pod" for each in found):
        _end_pods(api, name, only)
    for run in runs:
        api.delete("Secret", keys_secret(name, run))
    begin, look = time.monotonic(), LOOK
    left = found
    while left := _left(api, name, left, only):
        waited = time.monotonic() - begin
        if waited > PATIENCE:
            raise SurrealError(f"{name}: {_stay(left, 'object')} go: {_listed(left)}. Wait, or free the node: {WHY}")
        if waited > COLLECTION:
            for each in left:
                _delete(api, each)
        api.pause(look)
        look = min(LONGEST_LOOK, 1.5 * look)


def _end_pods(api: Api, name: str, only: str | None) -> None:
    """Have all pods end at once; garbage collection would reach 20 of them in a second."""
    try:
        api.delete_all("Pod", query(selector(name) | ({RUN: only} if only else {})))
    except ApiError as error:
        # A user who may not, or may no collections, waits for the garbage collection.
        if error.status != FORBIDDEN:
            raise


def _left(api: Api, name: str, before: list[Object], only: str | None) -> list[Object]:
    """Return the objects that are left. Asks first for the kinds seen `before`: a thousand pods are a long list."""
    kinds = {each["kind"] for each in before}
    found = _held(api, name, [kind for kind in HELD if kind in kinds]) or _held(api, name)
    return [each for each in found if not only or each["metadata"]["labels"].get(RUN) == only]


WHY = "a pod on a lost node is removed once the node is back or deleted (kubectl delete pod --force if it is gone)."


def _delete(api: Api, each: Object) -> None:
    if not each["metadata"].get("deletionTimestamp"):
        api.delete(each["kind"], each["metadata"]["name"])


def _await_pods(api: Api, name: str, talk: Talk, attempt: str | None, patience: float) -> None:
    """Wait until no pod of a Job of the experiment runs or waits to, but for those of one attempt."""
    left: list[Object] = []
    told, labels = -1, f"{query(selector(name))},{OF_A_JOB}"
    for pods in api.watch("Pod", labels, seconds=patience) if patience else [api.list("Pod", labels)]:
        busy = [pod for pod in pods if text(pod, "status", "phase") not in ("Succeeded", "Failed")]
        left = [pod for pod in busy if attempt is None or text(pod, "metadata", "annotations", ATTEMPT) != attempt]
        if not left:
            return
        if not patience:
            raise StillEndingError(_still_to_end(left))
        if len(left) != told:
            told = len(left)
            talk(f"waiting for {plural(told, 'pod')} to save and end")
    raise SurrealError(f"{name}: {_stay(left, 'pod')} end: {_listed(left)}. Wait, or free the node: {WHY}")


def _still_to_end(left: list[Object]) -> str:
    """Return what is waited for, and the way out once a pod is long past the time that it was given."""
    given = [moment(pod, "metadata", "deletionTimestamp") for pod in left]
    late = any(at and datetime.now(UTC) - at > LEFTOVER for at in given)
    return f"waiting for {plural(len(left), 'pod')} of the attempt before to save and end" + (
        f"; {WHY}" if late else ""
    )


def plural(count: int, noun: str) -> str:
    """Write a count and its noun: `1 pod`, `2 pods`."""
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _stay(left: Sized, noun: str) -> str:
    return f"{plural(len(left), noun)} {'does' if len(left) == 1 else 'do'} not"


def _listed(left: list[Object]) -> str:
    names = [f"{each['kind']} {each['metadata']['name']}" for each in left]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
