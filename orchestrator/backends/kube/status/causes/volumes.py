"""Reasons why a pod lacks its files: claims without volume, missing ConfigMaps or Secrets, disks that do not attach."""

import re
from collections.abc import Sequence

from surreal.orchestrator.backends.kube.status.snapshot import Event, Snapshot
from surreal.protocol.documents.quantity import format_size
from surreal.provisioner.kube.objects import clip, dig, text
from surreal.provisioner.kube.resources import quantity

_MISSING_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_UNBOUND = "unbound immediate PersistentVolumeClaims"
_NO_CLASS = re.compile(r'storageclass(?:\.storage\.k8s\.io)? "([^"]+)" not found', re.IGNORECASE)
_NO_DEFAULT = "no storage class is set"
_MISSING = re.compile(r'(configmap|secret) "([^"]+)" not found', re.IGNORECASE)
_VOLUME = re.compile(r'for volume "([^"]+)"')
CHOOSE = "set spec.storage.className, or spec.storage.kind: emptyDir"


def claim_reason(snapshot: Snapshot, message: str, role: str) -> str:
    """Return the scheduler's message on claims, with the storage's own reason; empty if it is about nodes."""
    missing = _MISSING_CLAIM.search(message)
    if missing and missing[1] != snapshot.name:
        return (
            f"the claim {missing[1]} of spec.roles.{role}.volumes is missing: kubectl -n {snapshot.namespace} get pvc"
        )
    if missing:
        return f"its claim {missing[1]} is missing: surreal delete {snapshot.name}, then create it again"
    if _UNBOUND not in message:
        return ""
    return _unbound(snapshot) or f"a claim of spec.roles.{role}.volumes has no volume yet: kubectl get pvc"


def mount_reason(events: Sequence[Event]) -> str:
    """Return the reason for missing mounts from a pod's events, the newest first; empty if they do not say."""
    for event in events:
        if event.reason in ("FailedMount", "FailedAttachVolume"):
            missing, volume = _MISSING.search(event.text), _VOLUME.search(event.text)
            if missing:
                return _missing_object(missing[1], missing[2])
            which = f" {volume[1]}" if volume else ""
            if "Multi-Attach" in event.text:
                return f"volume{which} is still attached to another node: it waits for the pod there to be gone"
            return f"volume{which} cannot be mounted: {clip(event.text.rpartition(' : ')[2])}"
        if event.reason == "FailedCreatePodSandBox":
            return f"its node cannot start pods: {clip(event.text.rpartition('desc = ')[2])}"
    return ""


def missing_in(message: str) -> str:
    """Return the sentence for a missing ConfigMap or Secret that a message names; empty if it names none."""
    found = _MISSING.search(message)
    return _missing_object(found[1], found[2]) if found else ""


def _missing_object(kind: str, name: str) -> str:
    spelt = {"configmap": "ConfigMap", "secret": "Secret"}.get(kind.lower(), kind)
    return f"the {spelt} {name} is missing: create it, or correct the key that names it"


def _unbound(snapshot: Snapshot) -> str:
    """Return the reason why the experiment's own claim has no volume; empty if it has one."""
    claim = snapshot.claim
    if claim is None or text(claim, "status", "phase") == "Bound":
        return ""
    told = snapshot.events_of("PersistentVolumeClaim", snapshot.name)
    for event in told:
        missing = _NO_CLASS.search(event.text)
        if missing:
            return f"no StorageClass {missing[1]}: kubectl get storageclasses, then {CHOOSE}"
        if _NO_DEFAULT in event.text:
            return f"the cluster has no default StorageClass for its claim: {CHOOSE}"
        if event.reason == "ProvisioningFailed":
            return f"the storage makes no volume: {clip(event.text)}; or {CHOOSE}"
    size = format_size(quantity(str(dig(claim, "spec", "resources", "requests", "storage"))))
    kind = text(claim, "spec", "storageClassName")
    if not kind:
        return f"its claim of {size} has no StorageClass: {CHOOSE}"
    return f"StorageClass {kind} is making its volume of {size}"
