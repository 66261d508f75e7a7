"""Place of the run folder in a cluster: a claim, a store, or a pod's own disk, and what is lost with which of them."""

from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.plan.model import Plan, PlannedStorage
from surreal.orchestrator.run.wiring import ending_role
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import SurrealError
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.objects import text

DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
"""Annotations, either of which makes a StorageClass the default one."""
CLAIM = "PersistentVolumeClaim"


def resolve_storage(plan: Plan, api: Api) -> Plan:
    """Return the plan with `auto` decided by what the cluster has, and with a sentence of what dies with what."""
    storage = plan.storage
    unknown = ""
    if storage.kind == "auto":
        default, unknown = ("", "") if storage.class_name else _default_class(api, plan.name)
        storage = storage.model_copy(update={"kind": "claim" if storage.class_name or default else "emptyDir"})
        # The class is written down, since another may be the default when the run is resumed.
        storage = storage.model_copy(update={"class_name": storage.class_name or default})
    elif storage.kind == "claim" and not storage.class_name:
        default, unknown = _default_class(api, plan.name)
        storage = storage.model_copy(update={"class_name": default})
        unknown += "" if default else "without a class the claim waits for a volume that is made by hand: "
    note = unknown + _note(storage, plan.name, ending_role(plan).name)
    return plan.model_copy(update={"storage": storage.model_copy(update={"note": note})})


def loss_at_stop(snapshot: Snapshot) -> str:
    """Return what a stop loses, as a sentence; "" where a checkpoint outlives the pod of the role that ends the run."""
    storage = snapshot.plan.storage if snapshot.plan else None
    if not storage or storage.kind != "emptyDir":
        return ""
    return (
        f"metrics, logs and checkpoints of {snapshot.name} lie in the pod of its {snapshot.ends_run} and die with it; "
        "resume then starts from step 0"
    )


def _default_class(api: Api, name: str) -> tuple[str, str]:
    """Return the name of the default StorageClass, "" for none, and a sentence for a user who may not look."""
    try:
        classes = api.list("StorageClass")
    except ApiError as error:
        if error.status != FORBIDDEN:
            return "", _unseen(error)
        return _class_of_a_claim(api, name)
    except SurrealError as error:
        return "", _unseen(error)
    for each in classes:
        marks = each["metadata"].get("annotations") or {}
        if any(marks.get(mark) == "true" for mark in DEFAULT_CLASS):
            return str(each["metadata"]["name"]), ""
    return "", "the cluster has no default StorageClass: "


def _class_of_a_claim(api: Api, name: str) -> tuple[str, str]:
    """Ask the server for a claim without making it: its answer has the default class, and needs no right to list any.

    ClusterRole `edit` has the right to claims of a namespace and none to classes, which are the cluster's.
    """
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    metadata = {"generateName": f"{name}-class-", "namespace": api.namespace}
    claim = {"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": asked}
    try:
        default = text(api.post(CLAIM, claim, dry_run=True), "spec", "storageClassName")
    except SurrealError as error:
        return "", _unseen(error)
    return default, "" if default else "the cluster gives claims no default StorageClass: "


def _unseen(error: SurrealError) -> str:
    return f"the default StorageClass, if there is one, cannot be seen ({error}): "


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


def beginning(lost: str, progress: Progress) -> str:
    """Return where the next attempt of a run begins."""
    if lost:
        return "from step 0: its checkpoints were in its pod and are gone with it"
    if progress.steps:
        return f"from its last checkpoint, at most step {progress.steps:,}"
    return "from its last checkpoint, or from step 0 if it made none"
