"""What would go wrong in the middle of a `create`, asked before its beginning: namespace, rights, quotas."""

from collections.abc import Sequence

from surreal.orchestrator.backends.kube.lifecycle import quotas
from surreal.orchestrator.backends.kube.lifecycle import rbac as rights
from surreal.orchestrator.plan.model import Plan, PlannedStorage
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, Absent, ApiError, leaving, no_namespace
from surreal.provisioner.kube.kinds import Object


def check(api: Api, objects: Sequence[Object]) -> list[str]:
    """Would the cluster take these objects from this user? Changes nothing; returns what the person should know.

    Raises NoNamespace, or SurrealError that names all missing rights, or all quotas that are too small.
    """
    _check_namespace(api)
    table = {**rights.NEEDED, **(rights.QUEUED if any(each["kind"] == "JobSet" for each in objects) else {})}
    needed, handy = rights.rights(table), rights.rights(rights.HANDY)
    missed = rights.missing(api, [*needed, *handy])
    if lacking := [right for right in missed if right in needed]:
        raise SurrealError(
            f"missing rights in namespace {api.namespace}: {rights.listed(lacking)}; ask for them there, for example "
            "by a RoleBinding to the ClusterRole `edit` (nothing was made)"
        )
    warnings = [f"without the rights {rights.listed(missed)} surreal cannot show all of the run"] if missed else []
    return warnings + _check_quotas(api, objects)


def _check_namespace(api: Api) -> None:
    try:
        found = api.get("Namespace", api.namespace)
    except Absent:
        raise no_namespace(api.namespace, api.context) from None
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return  # who may not look at it may have all rights in it
    if found["metadata"].get("deletionTimestamp") or (found.get("status") or {}).get("phase") == "Terminating":
        raise leaving(api.namespace)


def _check_quotas(api: Api, objects: Sequence[Object]) -> list[str]:
    try:
        found = api.list("ResourceQuota")
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return []
    never, later = quotas.too_small(found, objects)
    if never:
        raise SurrealError(
            f"the run does not fit into namespace {api.namespace}: {'; '.join(never)}; lower spec.roles.ROLE.replicas "
            "or resources, or have the quota raised (nothing was made)"
        )
    return [f"{each}: some processes wait until others leave room" for each in later]


DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
"""Annotations, either of which makes a StorageClass the default one."""


def resolve_storage(plan: Plan, api: Api) -> Plan:
    """The plan with `auto` decided by what the cluster has, and with a sentence of what dies with what."""
    storage = plan.storage
    unknown = ""
    if storage.kind == "auto":
        default, unknown = _default_class(api)
        storage = storage.model_copy(update={"kind": "claim" if storage.class_name or default else "emptyDir"})
        # said here, since the class may not be the default one any more when the run is resumed
        storage = storage.model_copy(update={"class_name": storage.class_name or default})
    ends_run = next(role.name for role in plan.roles if role.ends_run)
    note = unknown + _note(storage, plan.name, ends_run)
    return plan.model_copy(update={"storage": storage.model_copy(update={"note": note})})


def _default_class(api: Api) -> tuple[str, str]:
    """The name of the default StorageClass, empty for none, and what to say where one may not look."""
    try:
        classes = api.list("StorageClass")
    except SurrealError as error:
        return "", f"whether there is a default StorageClass cannot be seen ({error}): "
    for each in classes:
        marks = each["metadata"].get("annotations") or {}
        if any(marks.get(mark) == "true" for mark in DEFAULT_CLASS):
            return str(each["metadata"]["name"]), ""
    return "", "the cluster has no default StorageClass: "


def _note(storage: PlannedStorage, name: str, ends_run: str) -> str:
    size = "" if storage.size is None else f" of {format_memory(storage.size)}"
    match storage.kind:
        case "claim":
            by = f" by StorageClass {storage.class_name}" if storage.class_name else ""
            return f"claim {name}{size}{by}; results outlive all pods, until surreal delete {name}"
        case "url":
            return f"{storage.url}, copied there every 15 s; a pod that is killed loses at most that"
        case _:
            return (
                f"emptyDir{size} of the {ends_run}'s pod: metrics, logs and checkpoints die with that pod, so a "
                f"{ends_run} that is replaced starts from zero; spec.storage.className or a url keeps them"
            )
