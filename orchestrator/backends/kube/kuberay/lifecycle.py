"""Creation, stop, resumption and removal of a RayJob and what belongs to it.

The RayJob is made first and suspended, by POST: the user who makes it has the name. All other objects carry an
ownerReference to it, but for the claim, whose results outlive a RayJob that is made anew. The last step starts it: a
suspended RayJob without the mark of that step is a creation that was interrupted, and `create` again goes on with it.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from surreal.orchestrator.backends.kube.kuberay.names import OWNER, selector
from surreal.orchestrator.backends.kube.kuberay.render import queue_labels
from surreal.orchestrator.backends.kube.lifecycle import rbac
from surreal.orchestrator.backends.kube.names import CREATED, PLAN_DIGEST, RUN, STOPPED, query
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import AbsentError, TakenError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, Object
from surreal.provisioner.kube.objects import dig, name_of, reference, rows, text

JOB, CLAIM = "RayJob", "PersistentVolumeClaim"
Draw = Callable[[str], Sequence[Object]]
"""The id of a run -> all its objects, the RayJob first and suspended."""
PATIENCE, LOOK = 150.0, 0.5
"""Seconds for pods and objects to go, and between two looks."""
NEEDED = {
    ("ray.io", "rayjobs"): rbac.ALL,
    ("", "configmaps"): rbac.ALL,
    ("", "serviceaccounts"): rbac.ALL,
    ("", "persistentvolumeclaims"): rbac.ALL,
    ("networking.k8s.io", "networkpolicies"): rbac.ALL,
    ("", "pods"): ("get", "list"),
    ("", "pods/exec"): ("create",),
}
REMEDY = "Install KubeRay's operator 1.5 or later, or leave out --engine ray"


def check(api: Api, objects: Sequence[Object]) -> None:
    """Raise SurrealError where the cluster would not run these objects as they are. Makes nothing."""
    missed = rbac.missing(api, rbac.rights(NEEDED))
    if missed:
        raise SurrealError(
            f"namespace {api.namespace}: missing rights: {rbac.listed(missed)}; nothing was made. Ask for them there."
        )
    try:
        taken = api.post(JOB, objects[0], dry_run=True)
    except TakenError:
        return  # `create` says whose it is
    except AbsentError:
        raise SurrealError(
            f"--engine ray: KubeRay is not installed in this cluster: it knows no RayJob. {REMEDY}."
        ) from None
    if not dig(taken, "spec", "rayClusterSpec", "authOptions", "mode"):
        raise SurrealError(
            "--engine ray: the KubeRay of this cluster does not know authOptions, so its Ray would demand no token. "
            "Install KubeRay 1.5 or later (nothing was made)."
        )


def create(api: Api, plan: Plan, draw: Draw, run: str = "") -> None:
    """Make all objects and start the run. Raises TakenError, with nothing made, when the name is another's.

    `run` is the id of a run that goes on with its claim; a new one without.
    """
    objects = draw(run or secrets.token_hex(4))
    try:
        job = api.post(JOB, objects[0])
    except TakenError:
        job = _begun(api, objects[0])
        objects = draw(text(job, "metadata", "labels", RUN))
    try:
        for each in objects[1:]:
            _make(api, each, job)
    except SurrealError:
        # all but the claim goes with its owner
        api.delete(JOB, plan.name)
        if not run and _is_of(api.find(CLAIM, plan.name), objects[0]):
            api.delete(CLAIM, plan.name)
        raise
    start(api, plan)


def start(api: Api, plan: Plan) -> None:
    """Have KubeRay, or the queue, start a RayJob that is whole."""
    marks = {CREATED: datetime.now(UTC).isoformat(timespec="seconds"), STOPPED: None}
    change: Object = {"metadata": {"annotations": marks, "labels": queue_labels(plan)}}
    if not plan.queue:
        change["spec"] = {"suspend": False}
    api.patch(JOB, plan.name, change)


def stop(api: Api, job: Object) -> None:
    """Have KubeRay remove the cluster of a run, and wait until its pods are gone."""
    name = name_of(job)
    api.patch(JOB, name, {"metadata": {"annotations": {STOPPED: datetime.now(UTC).isoformat(timespec="seconds")}}})
    if workload := _workload(api, job):
        # Kueue would start a RayJob again that was suspended behind its back
        api.patch("Workload", name_of(workload), {"spec": {"active": False}})
    else:
        api.patch(JOB, name, {"spec": {"suspend": True}})
    _await(api, f"the pods of {name}", lambda: api.list("Pod", query(selector(name))))


def go_on(api: Api, plan: Plan, job: Object) -> None:
    """Have KubeRay start a stopped run again."""
    if workload := _workload(api, job):
        api.patch("Workload", name_of(workload), {"spec": {"active": True}})
        api.patch(JOB, plan.name, {"metadata": {"annotations": {STOPPED: None}}})
    else:
        start(api, plan)


def renew(api: Api, plan: Plan, draw: Draw) -> None:
    """Replace a RayJob that is over, which KubeRay never starts again; the claim stays."""
    run = text(api.get(JOB, plan.name), "metadata", "labels", RUN)
    remove_job(api, plan.name)
    create(api, plan, draw, run)


def remove_job(api: Api, name: str) -> None:
    """Remove a RayJob with all that it owns, and wait until it is gone."""
    api.delete(JOB, name)

    def left() -> list[Object]:
        job = api.find(JOB, name)
        return [*([job] if job else []), *api.list("Pod", query(selector(name)))]

    _await(api, f"RayJob {name}", left)


def delete(api: Api, name: str) -> None:
    """Remove all of a run, its results too."""
    remove_job(api, name)
    if not _claims(api, name):
        return
    api.delete(CLAIM, name)
    _await(api, f"the claim of {name}", lambda: _claims(api, name))


def _claims(api: Api, name: str) -> list[Object]:
    """Return the claim of a run, which goes a moment after the pods that used it."""
    claim = api.find(CLAIM, name)
    return [claim] if claim and text(claim, "metadata", "labels", MANAGED_BY) == OWNER else []


def _begun(api: Api, wanted: Object) -> Object:
    """Return the RayJob of a creation of the same plan that was interrupted. Raises TakenError for any other."""
    name = name_of(wanted)
    found = api.get(JOB, name)
    if text(found, "metadata", "labels", MANAGED_BY) != OWNER:
        raise TakenError(f"there is a RayJob {name!r} in namespace {api.namespace} that is not surreal's: {OTHER}")
    if since := text(found, "metadata", "annotations", CREATED):
        raise TakenError(f"name {name!r} is used since {since}: {OTHER}, or surreal delete {name}")
    if text(found, "metadata", "annotations", PLAN_DIGEST) != text(wanted, "metadata", "annotations", PLAN_DIGEST):
        raise TakenError(
            f"the creation of {name!r} with another plan was interrupted: {OTHER}, or surreal delete {name}"
        )
    return found


OTHER = "choose another name (--set metadata.name=...)"


def _make(api: Api, wanted: Object, job: Object) -> None:
    """Make an object of the run. Raises TakenError for one of that name that belongs to another."""
    kind, name = wanted["kind"], name_of(wanted)
    there = api.find(kind, name)
    if there and not _is_of(there, wanted):
        whose = text(there, "metadata", "labels", INSTANCE)
        hint = f"surreal delete {whose} --engine ray removes it with its results, or " if whose == name else ""
        raise TakenError(f"there is a {kind} {name} in namespace {api.namespace} already: {hint}{OTHER}")
    if kind != CLAIM:
        owners = [{**reference(job), "controller": True}]
        wanted = {**wanted, "metadata": {**wanted["metadata"], "ownerReferences": owners}}
    if not there:
        api.apply(kind, wanted)


def _is_of(there: Object | None, wanted: Object) -> bool:
    """Return True for an object of the same run."""
    return bool(there) and text(there, "metadata", "labels", RUN) == text(wanted, "metadata", "labels", RUN)


def _workload(api: Api, job: Object) -> Object | None:
    """Return Kueue's object for a RayJob that a queue admits; None for any other."""
    uid = dig(job, "metadata", "uid")
    if not any(key.startswith("kueue.") for key in dig(job, "metadata", "labels") or {}):
        return None
    for each in api.list("Workload"):
        if any(owner.get("uid") == uid for owner in rows(each, "metadata", "ownerReferences")):
            return each
    raise InvalidInput(f"{name_of(job)}: Kueue has not taken its RayJob yet. Try again in a moment.")


def _await(api: Api, what: str, left: Callable[[], Sequence[Object]]) -> None:
    waited = 0.0
    while found := left():
        if waited > PATIENCE:
            names = ", ".join(f"{each['kind']} {name_of(each)}" for each in found[:5])
            raise SurrealError(f"{what}: not gone within {PATIENCE:.0f} s: {names}. Is KubeRay's operator running?")
        api.pause(LOOK)
        waited += LOOK
