"""A pod that reads the volume of a run whose own pods are gone: started for one command, removed after it."""

from collections.abc import Sequence
from typing import Any

from surreal.orchestrator.backends.kube.manifests.pod import NO_SIDECAR, NO_SIDECAR_LABEL
from surreal.orchestrator.backends.kube.names import RUN, RUN_FOLDER, USER_ID, WORKER, labels
from surreal.orchestrator.backends.kube.run_folder.folder import File
from surreal.orchestrator.backends.kube.run_folder.pod_source import PodFiles
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, reference, rows, text

LIFE_SECONDS = 600
"""Kubernetes ends the pod then, should surreal not have removed it."""
START_SECONDS = 120.0
FIXED_USER = {"runAsUser": USER_ID, "runAsGroup": USER_ID, "fsGroup": USER_ID}
LOOK_SECONDS = 0.3
STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")


class ReaderFiles:
    """A `files.Source` on the claim of a run that has no pod now."""

    def __init__(self, api: Api, snapshot: Snapshot) -> None:
        self._api = api
        self._snapshot = snapshot
        self._pod = ""
        self._files: PodFiles | None = None

    def files(self, prefix: str) -> Sequence[File]:
        """See `files.Source`."""
        return self._started().files(prefix)

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """See `files.Source`."""
        return self._started().parts(wanted)

    def close(self) -> None:
        """Remove the pod."""
        if self._files:
            self._files.close()
        if self._pod:
            self._api.delete("Pod", self._pod)
        self._pod, self._files = "", None

    def _started(self) -> PodFiles:
        if not self._files:
            self._api.talk(f"starting a pod that reads the volume of {self._snapshot.name}")
            try:
                self._pod = name_of(self._api.post("Pod", reader_pod(self._snapshot)))
                self._wait()
            except BaseException:
                self.close()
                raise
            self._files = PodFiles(self._api, self._pod)
        return self._files

    def _wait(self) -> None:
        """Until the pod runs. Raises SurrealError with the reason if it does not."""
        for _ in range(int(START_SECONDS / LOOK_SECONDS)):
            pod = self._api.get("Pod", self._pod)
            if text(pod, "status", "phase") == "Running":
                return
            waits = _waits_for(pod)
            if waits.split(":")[0] in STUCK or text(pod, "status", "phase") == "Failed":
                break
            self._api.pause(LOOK_SECONDS)
        raise SurrealError(
            f"{self._snapshot.name}: its files are on its volume, and the pod that should read them does not start: "
            f"{waits or text(pod, 'status', 'message') or 'no reason is known'}; it is removed again. Try again later."
        )


def _waits_for(pod: Object) -> str:
    """Return the reason why the pod does not run, as `REASON: text`."""
    states = [dig(each, "state", "waiting") for each in rows(pod, "status", "containerStatuses")]
    conditions = [each for each in rows(pod, "status", "conditions") if each.get("status") == "False"]
    told = [each for each in (*states, *conditions) if text(each, "message")]
    return f"{text(told[0], 'reason')}: {text(told[0], 'message')}" if told else ""


def reader_pod(snapshot: Snapshot) -> Object:
    """Return the pod as it is sent: the run's image and its volume, read-only."""
    # with the root gone, the claim is what else disappears with the experiment
    owner = snapshot.root or snapshot.claim
    run = text(owner, "metadata", "labels", RUN)
    role = snapshot.plan.role(snapshot.ends_run) if snapshot.plan else None
    secrets = snapshot.plan.image_pull_secrets if snapshot.plan else ()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{snapshot.name[:40]}-reader-",
            "labels": {**NO_SIDECAR_LABEL, **labels(snapshot.name, run)},
            "annotations": NO_SIDECAR,
            "ownerReferences": [reference(owner)] if owner else [],
        },
        "spec": {
            "activeDeadlineSeconds": LIFE_SECONDS,
            "terminationGracePeriodSeconds": 1,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "imagePullSecrets": [{"name": secret} for secret in secrets],
            "tolerations": _tolerations(role),
            "securityContext": {
                "runAsNonRoot": True,
                **({} if snapshot.plan and snapshot.plan.pods.namespace_user else FIXED_USER),
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(role)],
            "volumes": [{"name": "run", "persistentVolumeClaim": {"claimName": snapshot.name, "readOnly": True}}],
        },
    }


def _container(role: PlannedRole | None) -> Object:
    size: dict[str, str] = {"memory": "128Mi", "ephemeral-storage": "64Mi"}
    pulled = {"imagePullPolicy": role.image_pull_policy} if role else {}
    return {
        "name": WORKER,
        "image": (role.image if role else "") or default_image(),
        **pulled,
        "command": ["python3", "-P", "-c", f"import time; time.sleep({LIFE_SECONDS})"],
        "resources": {"requests": {"cpu": "100m", **size}, "limits": {"cpu": "1", **size}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "run", "mountPath": RUN_FOLDER, "readOnly": True}],
    }


def _tolerations(role: PlannedRole | None) -> list[dict[str, Any]]:
    """Return the tolerations of the role that wrote the volume, which may be bound to its machines."""
    return [
        {
            "key": each.key,
            "operator": "Exists" if each.value is None else "Equal",
            **({"value": each.value} if each.value is not None else {}),
            **({"effect": each.effect} if each.effect else {}),
        }
        for each in (role.tolerations if role else ())
    ]
