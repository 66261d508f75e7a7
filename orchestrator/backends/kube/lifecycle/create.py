"""Creation of all objects of an experiment: an interruption at any moment leaves no object without an owner.

The root is made first, by POST: the user who makes it has the name. All other objects carry an ownerReference to it,
so Kubernetes removes them with it. The last step, the seal, turns that round: the root belongs to the Job that ends
the run, and goes when Kubernetes removes that Job after its TTL. The claim then has no owner, since results outlive
the run. Creating again after an interruption finds the root unsealed and goes on with the same run.
"""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

from surreal.orchestrator.backends.kube.lifecycle.delete import PATIENCE, end_jobs, remove_run
from surreal.orchestrator.backends.kube.lifecycle.present import OTHER_NAME, Key, attempt_of, key_of, label, live, ours
from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    CHANGED,
    CREATED,
    FAILED,
    PLAN_DIGEST,
    RUN,
    STOPPED,
    SUSPENDED_BY,
    USER,
    query,
    selector,
)
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import CONFLICT, UNPROCESSABLE, AbsentError, ApiError, TakenError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import name_of, reference, text
from surreal.provisioner.kube.together import together

Draw = Callable[[str, int], Sequence[Object]]
"""(run, attempt) -> all objects in the order in which they are made, the root first and the Jobs last."""
Talk = Callable[[str], None]
Check = Callable[[Sequence[Object]], None]

CLAIM = "PersistentVolumeClaim"
JOBS = ("Job", "JobSet")
RENEWED = ("Service", "NetworkPolicy")
"""Kinds that a resumed run gets as its plan is now, which may have changed."""


def create(api: Api, draw: Draw, talk: Talk, holder: Object | None = None, check: Check | None = None) -> str:
    """Make all objects and return the run, or finish what an interrupted `create` of the same plan began.

    `holder` is the Experiment that has the run. It owns the Job that ends the run, and with it all else, and the claim.
    `check` gets the objects before the first request, and raises where they cannot be.

    Raises TakenError, with nothing made, when the name is another's. When the cluster refuses an object, those that
    were made are removed before the error is raised; when it answers no more, the error says what is there.
    """
    run = secrets.token_hex(4)
    objects = draw(run, 1)
    if check:
        check(objects)
    root = _held_by(objects[0], holder)
    there = live(api, objects)
    found = there.get(key_of(root)) or _check_names(api, objects, there, run) or _claim_name(api, root)
    if label(found, RUN) != run:
        return _finish(api, found, root, draw, talk, holder)
    try:
        _complete(api, found, objects, {}, holder)
    except ApiError as error:
        raise _undone(api, objects, error) from None
    return run


def resume(
    api: Api, name: str, draw: Draw, talk: Talk, holder: Object | None = None, patience: float = PATIENCE
) -> None:
    """Start the Jobs of a run that was stopped or has failed once more, as its next attempt.

    What goes wrong leaves all there is in place: resume again, or create with the same file, goes on from there.
    So does StillEndingError, which is raised where `patience` is 0 and processes of the attempt before still run.
    """
    root = api.get("ConfigMap", name)
    attempt = int(_mark(root, ATTEMPT) or 1)
    if _mark(root, CREATED):
        attempt += 1
        cleared = dict.fromkeys((CREATED, STOPPED, FAILED, CHANGED, SUSPENDED_BY))
        marks = {**cleared, ATTEMPT: str(attempt)}
        # it must not belong to a Job that is about to be removed
        owners = [_reference(holder)] if holder else None
        root = api.patch("ConfigMap", name, {"metadata": {"annotations": marks, "ownerReferences": owners}})
    objects = draw(label(root, RUN), attempt)
    _go_on(api, root, objects, talk, holder, RENEWED, patience)
    _remove_old_wiring(api, name, objects)


def _remove_old_wiring(api: Api, name: str, objects: Sequence[Object]) -> None:
    """Remove the wiring of an earlier plan, which no pod mounts any more."""
    wanted = {name_of(each) for each in objects}
    for each in api.list("ConfigMap", query(selector(name))):
        if name_of(each).startswith(f"{name}-wiring-") and name_of(each) not in wanted:
            api.delete("ConfigMap", name_of(each))


def dry_run(api: Api, objects: Sequence[Object]) -> None:
    """Have the server check every object and make none. Raises one SurrealError with all that it refuses."""
    ours(api, live(api, objects), "")
    refused = []
    for each in objects:
        try:
            if each["kind"] == "Secret":
                api.post("Secret", each, dry_run=True)
            else:
                api.apply(each["kind"], each, dry_run=True)
        except ApiError as error:
            if not error.lasting:
                raise
            refused.append(str(error))
    if refused:
        raise SurrealError(f"the cluster would refuse {len(refused)} of {len(objects)} objects:\n" + "\n".join(refused))


def _check_names(api: Api, objects: Sequence[Object], there: Mapping[Key, Object], run: str) -> Object | None:
    """Return the root of another command that began meanwhile, or None if all names are free.

    Raises TakenError for an object without a root: the remains of another run, or not surreal's.
    """
    try:
        ours(api, there, run)
    except TakenError:
        # its objects may be those of a root that was made after we looked
        if found := api.find("ConfigMap", name_of(objects[0])):
            return found
        raise
    return None


def _claim_name(api: Api, root: Object) -> Object:
    """Create the root and return it as it is in the cluster: another user may have been quicker."""
    try:
        return api.post("ConfigMap", root)
    except TakenError:
        # or ours: the server's answer to the first try was lost
        return api.get("ConfigMap", name_of(root))


def _held_by(root: Object, holder: Object | None) -> Object:
    """Return the root with its first owner, if it has one."""
    return {**root, "metadata": {**root["metadata"], "ownerReferences": [_reference(holder)]}} if holder else root


def _reference(holder: Object) -> Object:
    return {**reference(holder), "controller": True}


def _finish(api: Api, found: Object, root: Object, draw: Draw, talk: Talk, holder: Object | None) -> str:
    """Go on with a run that another command began with the same plan. Raises TakenError for any other."""
    name, run = name_of(root), label(found, RUN)
    if label(found, MANAGED_BY) != OWNER or label(found, INSTANCE) != name:
        text = f"there is a ConfigMap {name!r} in namespace {api.namespace} that is not surreal's"
        raise TakenError(f"{text}: {OTHER_NAME}")
    if found["metadata"].get("deletionTimestamp"):
        raise TakenError(f"experiment {name!r} is just being deleted: try again when it is gone")
    by = f"experiment {run} of user {_mark(found, USER) or 'unknown'}"
    if since := _mark(found, CREATED):
        raise TakenError(f"name {name!r} is used by {by} since {since}: {OTHER_NAME}, or surreal delete {name}")
    if _mark(found, PLAN_DIGEST) != _mark(root, PLAN_DIGEST):
        begun = f"name {name!r} is used by {by}, whose creation was interrupted and which has another plan"
        raise TakenError(f"{begun}: {OTHER_NAME}, create it with the file it began with, or surreal delete {name}")
    _go_on(api, found, draw(run, int(_mark(found, ATTEMPT) or 1)), talk, holder)
    return run


def _go_on(
    api: Api,
    root: Object,
    objects: Sequence[Object],
    talk: Talk,
    holder: Object | None,
    renewed: Collection[str] = (),
    patience: float = PATIENCE,
) -> None:
    """Make what is not there yet, and write objects of the kinds `renewed` anew."""
    there = ours(api, live(api, objects[1:]), label(root, RUN))
    attempts = {key: attempt_of(each) for key, each in there.items()}
    wanted = {key_of(each): attempt_of(each) for each in objects}
    old = [key for key in there if key[0] in JOBS and attempts[key] != wanted[key]]
    attempt = _mark(root, ATTEMPT) or "1"
    if old or attempt != "1":
        end_jobs(api, name_of(root), old, attempt, talk, patience)
    there = {key: each for key, each in there.items() if key not in old}
    talk(f"found {len(there) + 1} of {len(objects)} objects; making the other {len(objects) - len(there) - 1}")
    there = {key: each for key, each in there.items() if key[0] not in renewed}
    try:
        _complete(api, root, objects, there, holder)
    except ApiError as error:
        # work of hours may lie there: nothing is removed
        raise error.plus("all objects made so far stay: the same command again goes on with them") from None


def _complete(
    api: Api, root: Object, objects: Sequence[Object], there: Mapping[Key, Object], holder: Object | None
) -> None:
    """Make the objects that are not there, then seal the root. Raises DeletedError if a user removes it meanwhile.

    Jobs come last, so that their pods find all that they need, and first of them the one that ends the run: where room
    is scarce, its pod has it.
    """
    made, ender = {key_of(root): root, **there}, next(key_of(each) for each in objects if each["kind"] in JOBS)

    def make(each: Object) -> None:
        owner = holder if holder and key_of(each) == ender else root
        owned = {**each, "metadata": {**each["metadata"], "ownerReferences": [_reference(owner)]}}
        made[key_of(each)] = _make(api, owned)
        api.retries.doing = so_far()

    def so_far() -> str:
        return f"{len(made)} of {len(objects)} objects created"

    missing = [each for each in objects if key_of(each) not in made]
    try:
        api.retries.doing = so_far()
        together(make, [each for each in missing if each["kind"] not in JOBS])
        together(make, [each for each in missing if key_of(each) == ender])
        together(make, [each for each in missing if each["kind"] in JOBS and key_of(each) != ender])
        _seal(api, root, made, ender, holder)
    except ApiError as error:
        # Not from the client, which other threads share.
        raise (error if error.lasting else error.plus(so_far())) from None
    except KeyboardInterrupt:
        how = f"the same command again goes on with it, surreal delete {name_of(root)} removes it"
        raise SurrealError(f"interrupted with {so_far()}: {how}") from None
    finally:
        api.retries.doing = ""


def _make(api: Api, owned: Object) -> Object:
    if owned["kind"] != "Secret":
        return api.apply(owned["kind"], owned)
    try:
        return api.post("Secret", owned)
    except TakenError:
        return owned  # no other run has that name: ours, from before an interruption or a lost answer


def _seal(api: Api, root: Object, made: Mapping[Key, Object], ender: Key, holder: Object | None) -> None:
    """Say that all is there, and that the Job `ender`, whose end is the run's, ends it all."""
    about, name = root["metadata"], name_of(root)
    marks = {CREATED: datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        if (CLAIM, name) in made:
            owners = [_reference(holder)] if holder else None
            api.patch(CLAIM, name, {"metadata": {"ownerReferences": owners}})
        # the uid keeps this patch off a root that another user made after ours was deleted
        sealed = {"uid": about["uid"], "annotations": marks, "ownerReferences": [reference(made[ender])]}
        api.patch("ConfigMap", name, {"metadata": sealed})
    except ApiError as error:
        # unprocessable: a patch cannot change the uid, so the root of that name is another one by now
        if not isinstance(error, AbsentError) and error.status not in (CONFLICT, UNPROCESSABLE):
            raise
        remove_run(api, name, label(root, RUN))
        raise DeletedError(f"{name} was deleted while it was being created; 0 objects left behind") from None


class DeletedError(SurrealError):
    """The experiment was deleted before all of its objects were there."""


def _undone(api: Api, objects: Sequence[Object], error: ApiError) -> ApiError:
    """Return the error with what is left behind; nothing, where the cluster lets us remove what we made."""
    name = name_of(objects[0])
    if not error.lasting:
        return error.plus(f"surreal create again goes on with it, surreal delete {name} removes it")
    try:
        remove_run(api, name, label(objects[0], RUN))
    except SurrealError as second:
        return error.plus(f"some objects are left behind ({second}): surreal delete {name}")
    return error.plus("0 objects left behind")


def _mark(each: Object, key: str) -> str:
    return text(each, "metadata", "annotations", key)
