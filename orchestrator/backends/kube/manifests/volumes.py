"""The volumes of a role's pods and where they are mounted. Nothing else in a pod can be written to."""

from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube.names import (
    CODE_ARCHIVE_FOLDER,
    CODE_FOLDER,
    CODE_KEY,
    KEYS_FOLDER,
    RUN_FOLDER,
    START_FOLDER,
    START_KEY,
    WIRING_FOLDER,
)
from surreal.orchestrator.plan.model import Plan, PlannedRole, PlannedVolume
from surreal.protocol.documents.quantity import format_memory

Plain = dict[str, Any]

READABLE, PRIVATE = 0o444, 0o400
"""Modes of mounted files. Kubernetes adds the group's right to read, the pod's fsGroup, which makes 0400 0440."""
MEBIBYTE = 2**20
TMP_BYTES = 1024 * MEBIBYTE
SCRATCH_BYTES = 64 * MEBIBYTE
"""Size of the working directory, where a pod has no run folder."""
CODE_BYTES = 300 * MEBIBYTE
"""More than `protocol.unpack.MAX_UNPACKED`."""


@dataclass(frozen=True)
class Sources:
    """Names of the objects that pods mount."""

    wiring: str
    keys: str
    code: str = ""
    """The ConfigMap with the archive; empty where there is none."""
    has_code: bool = False
    start: str = ""
    """The ConfigMap with the checkpoint that the run begins from; empty where there is none."""


def volumes(plan: Plan, role: PlannedRole, sources: Sources) -> list[Plain]:
    """Return the volumes of a role's pods. Each role sees its own wiring and keys, and no other."""
    file = f"{role.name}.json"
    items = [{"key": file, "path": file}]
    found: list[Plain] = [
        {"name": "wiring", "configMap": {"name": sources.wiring, "items": items, "defaultMode": READABLE}},
        {"name": "keys", "secret": {"secretName": sources.keys, "items": items, "defaultMode": PRIVATE}},
        {"name": "run", **_run_volume(plan, role)},
        {"name": "tmp", "emptyDir": {"sizeLimit": quantity(TMP_BYTES)}},
        # its pages count as the container's memory
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": quantity(role.resources.memory // 4)}},
    ]
    if sources.code:
        archive = {"name": sources.code, "items": [{"key": CODE_KEY, "path": CODE_KEY}], "defaultMode": READABLE}
        found.append({"name": "archive", "configMap": archive})
    if sources.start and role.ends_run:
        archive = {"name": sources.start, "items": [{"key": START_KEY, "path": START_KEY}], "defaultMode": READABLE}
        found.append({"name": "start", "configMap": archive})
    if sources.has_code:
        found.append({"name": "code", "emptyDir": {"sizeLimit": quantity(CODE_BYTES)}})
    return found + [own_volume(volume) for volume in role.volumes]


def mounts(role: PlannedRole, sources: Sources) -> list[Plain]:
    """Return the mounts of a role's process."""
    found: list[Plain] = [
        {"name": "wiring", "mountPath": WIRING_FOLDER, "readOnly": True},
        {"name": "keys", "mountPath": KEYS_FOLDER, "readOnly": True},
        {"name": "run", "mountPath": RUN_FOLDER},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    if sources.start and role.ends_run:
        found.append({"name": "start", "mountPath": START_FOLDER, "readOnly": True})
    if sources.has_code:
        found.append({"name": "code", "mountPath": CODE_FOLDER, "readOnly": True})
    return found + own_mounts(role)


def unpack_mounts(role: PlannedRole, sources: Sources) -> list[Plain]:
    """Return the mounts of the init container: the folder for the code and the code's source."""
    # a store may want credentials, and those are in a volume of the role
    archive = {"name": "archive", "mountPath": CODE_ARCHIVE_FOLDER, "readOnly": True}
    source = [archive] if sources.code else own_mounts(role)
    return [{"name": "code", "mountPath": CODE_FOLDER}, {"name": "tmp", "mountPath": "/tmp"}, *source]


def local_disk(plan: Plan, role: PlannedRole) -> int:
    """Return the bytes of a node's own disk that a role's emptyDirs may fill."""
    run = _run_bytes(plan, role)
    return TMP_BYTES + CODE_BYTES * bool(plan.code) + (run if run is not None else 0)


def quantity(size: int) -> str:
    """Write bytes as Kubernetes writes them."""
    return str(format_memory(size))


def _run_volume(plan: Plan, role: PlannedRole) -> Plain:
    """Only the role that ends the run has the run folder; the others send it what they have to say."""
    size = _run_bytes(plan, role)
    if size is None:
        return {"persistentVolumeClaim": {"claimName": plan.name}}
    return {"emptyDir": {"sizeLimit": quantity(size)}}


def _run_bytes(plan: Plan, role: PlannedRole) -> int | None:
    """Return the bytes of the emptyDir that is the run folder; None where it is a claim."""
    if not role.ends_run:
        return SCRATCH_BYTES
    return None if plan.storage.kind == "claim" else plan.storage.size or 0


def own_volume(volume: PlannedVolume) -> Plain:
    """Return a volume of the user's as a pod has it."""
    sources: dict[str, Plain] = {
        "claim": {"persistentVolumeClaim": {"claimName": volume.source, "readOnly": volume.read_only}},
        "configMap": {"configMap": {"name": volume.source, "defaultMode": READABLE}},
        "secret": {"secret": {"secretName": volume.source, "defaultMode": PRIVATE}},
    }
    return {"name": _own_name(volume), **sources[volume.kind]}


def own_mounts(role: PlannedRole) -> list[Plain]:
    """Return the mounts of the user's own volumes."""
    return [
        {"name": _own_name(each), "mountPath": each.mount_path, "readOnly": each.read_only} for each in role.volumes
    ]


def _own_name(volume: PlannedVolume) -> str:
    """Return a volume name that cannot be one of surreal's own."""
    return f"own-{volume.name}"
