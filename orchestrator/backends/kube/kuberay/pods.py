"""Pods of a run that KubeRay starts: the head with the run folder, and one worker group for each role.

They are as closed as the pods of Jobs, in what Ray allows: no root, no right, nothing writable but volumes. Ray opens
ports as it likes, so that pods of one run reach each other at all of them.
"""

import math
from typing import Any

from surreal.orchestrator.backends.kube import names as kube
from surreal.orchestrator.backends.kube.kuberay import names
from surreal.orchestrator.backends.kube.manifests import pod as policy
from surreal.orchestrator.backends.kube.manifests.volumes import own_mounts, own_volume, quantity
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.wiring import ending_role
from surreal.provisioner.kube.resources import GPU

Plain = dict[str, Any]
MEBIBYTE = 2**20
STORE_BYTES = 80_000_000
"""Bytes of each node's object store, which carries no data of ours; Ray takes no less."""
SHM_BYTES, TMP_BYTES = 128 * MEBIBYTE, 2048 * MEBIBYTE
NODE_BYTES = 1024 * MEBIBYTE
"""Bytes of Ray's own processes beside a worker: raylet, agents, the host, and the object store."""
NODE_CPU = 0.1
HEAD_CPU, HEAD_BYTES = 1.0, 3072 * MEBIBYTE
"""Resources of the head: GCS, dashboard and the supervisor."""
LOCKED: Plain = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
APPLICATION = "app.kubernetes.io/name"
ENVIRONMENT = {"HOME": "/tmp", "PYTHONUNBUFFERED": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def head(plan: Plan, run: str, code: str, attempt: int) -> Plain:
    """Return the head's group. `code` is the ConfigMap with the archive of one's own code; empty without."""
    role = next((each for each in plan.roles if not each.accelerator), ending_role(plan))
    template = _template(plan, role, run, names.HEAD, _sizes(HEAD_CPU, HEAD_BYTES))
    container, folder = template["spec"]["containers"][0], f"{names.HOME}/ray/{plan.name}"
    container["env"] += _variables({"SURREAL_HOME": names.HOME, names.ATTEMPT_VARIABLE: str(attempt)})
    ports = {"gcs-server": names.GCS_PORT, "dashboard": names.DASHBOARD_PORT, "client": names.CLIENT_PORT}
    container["ports"] = [{"name": name, "containerPort": port} for name, port in ports.items()]
    container["volumeMounts"] += [
        {"name": "run", "mountPath": folder},
        {"name": "run", "mountPath": kube.RUN_FOLDER, "readOnly": True},
        {"name": "documents", "mountPath": names.DOCUMENTS, "readOnly": True},
    ]
    sources = [names.documents(plan.name), *([code] if code else [])]
    projected = [{"configMap": {"name": source}} for source in sources]
    template["spec"]["volumes"] += [
        {"name": "run", **_run_volume(plan)},
        {"name": "documents", "projected": {"sources": projected, "defaultMode": 0o444}},
    ]
    return {
        "serviceType": "ClusterIP",
        "enableIngress": False,
        # nothing of the run is placed there but the supervisor, which asks for no CPU
        "rayStartParams": {"num-cpus": "0", "object-store-memory": str(STORE_BYTES)},
        "template": template,
    }


def group(plan: Plan, role: PlannedRole, run: str) -> Plain:
    """Return the worker group of a role: as many nodes as it has processes, each of which one process fills."""
    asked = role.resources
    sizes = _sizes(asked.cpu + NODE_CPU, asked.memory + NODE_BYTES)
    if asked.gpu:
        sizes["limits"][asked.gpu_resource] = str(asked.gpu)
    template = _template(plan, role, run, role.name, sizes)
    spec = template["spec"]
    spec["containers"][0]["volumeMounts"] += own_mounts(role)
    spec["volumes"] += [own_volume(each) for each in role.volumes]
    # the memory is the role's to the byte: Ray then places no second process there
    start = {"num-cpus": str(math.ceil(asked.cpu)), "memory": str(asked.memory)}
    if asked.gpu:
        start |= {"num-gpus": str(asked.gpu)} if asked.gpu_resource == GPU else {"num-gpus": "0"}
    return {
        "groupName": role.name,
        "replicas": role.replicas,
        "minReplicas": role.replicas,
        "maxReplicas": role.replicas,
        "rayStartParams": {**start, "object-store-memory": str(STORE_BYTES)},
        "template": template,
    }


def _template(plan: Plan, role: PlannedRole, run: str, component: str, sizes: Plain) -> Plain:
    """Return the pod template; the first container is the one that Ray runs in."""
    # KubeRay's own Services look for its value of this label
    labels = {key: value for key, value in names.labels(plan.name, run, component).items() if key != APPLICATION}
    return {
        "metadata": {
            "labels": {**policy.NO_SIDECAR_LABEL, **plan.pods.labels, **plan.labels, **labels},
            "annotations": {**policy.NO_SIDECAR, **policy.STAYS, **plan.pods.annotations},
        },
        "spec": {
            "serviceAccountName": plan.storage.service_account or plan.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            **_wishes(plan, role),
            "securityContext": _security(plan),
            "containers": [
                {
                    "name": kube.WORKER,
                    "image": role.image,
                    "imagePullPolicy": role.image_pull_policy,
                    "env": _variables(ENVIRONMENT),
                    "resources": sizes,
                    "securityContext": LOCKED,
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}],
                }
            ],
            "volumes": [
                {"name": "tmp", "emptyDir": {"sizeLimit": quantity(TMP_BYTES)}},
                # its pages count as the container's memory
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": quantity(SHM_BYTES)}},
            ],
        },
    }


def _wishes(plan: Plan, role: PlannedRole) -> Plain:
    """Return what the experiment says of the pods of a role; keys without a wish are left out."""
    affinity = policy.affinity(role.selectors)
    found = {
        "runtimeClassName": plan.pods.runtime_class,
        "schedulerName": plan.pods.scheduler,
        "priorityClassName": role.priority_class,
        "imagePullSecrets": [{"name": name} for name in plan.image_pull_secrets],
        "affinity": affinity,
        "tolerations": policy.tolerations(role),
    }
    if over := policy.SPREAD_OVER[role.spread]:
        same = {"labelSelector": {"matchLabels": names.selector(plan.name, role.name)}}
        rule = {"maxSkew": 1, "topologyKey": over, "whenUnsatisfiable": "ScheduleAnyway", **same}
        found["topologySpreadConstraints"] = [rule]
    return {key: value for key, value in found.items() if value}


def _security(plan: Plan) -> Plain:
    user = {} if plan.pods.namespace_user else dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), kube.USER_ID)
    return {
        "runAsNonRoot": True,
        **user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _sizes(cpu: float, memory: int) -> Plain:
    """Return requests and limits, with room for Ray's threads."""
    size = {"memory": quantity(memory), "ephemeral-storage": quantity(TMP_BYTES)}
    return {
        "requests": {"cpu": policy.cores(cpu), **size},
        "limits": {"cpu": policy.cores(cpu + policy.SPARE_CPU), **size},
    }


def _run_volume(plan: Plan) -> Plain:
    if plan.storage.kind == "claim":
        return {"persistentVolumeClaim": {"claimName": plan.name}}
    return {"emptyDir": {"sizeLimit": quantity(plan.storage.size)} if plan.storage.size else {}}


def _variables(values: dict[str, str]) -> list[Plain]:
    return [{"name": name, "value": value} for name, value in values.items()]
