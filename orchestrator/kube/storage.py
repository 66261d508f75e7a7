"""Where the run folder of an experiment lies in a cluster, and what is lost with which pod."""

from surreal.orchestrator.kube.api import Api
from surreal.orchestrator.plan import Plan, PlannedStorage
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import SurrealError

DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
"""Annotations, either of which makes a StorageClass the default one."""


def settled(plan: Plan, api: Api) -> Plan:
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
