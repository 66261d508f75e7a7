"""Parts of a role's pods, as plain values for their template."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube import names
from surreal.orchestrator.backends.kube.manifests.volumes import (
    Plain,
    Sources,
    local_disk,
    mounts,
    quantity,
    unpack_mounts,
    volumes,
)
from surreal.orchestrator.backends.restart_policy import feeds_the_run
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.wiring import thread_variables
from surreal.protocol.errors import ExitCode, InvalidInput
from surreal.protocol.worker.pod.identity import ATTEMPT_VARIABLE, FAILURES_VARIABLE, IGNORED_VARIABLE, INDEX_VARIABLE
from surreal.provisioner.pools import labels
from surreal.provisioner.pools.labels import ZONE
from surreal.provisioner.pools.node import HOST

SPREAD_OVER = {"none": "", "zone": ZONE, "node": HOST}
ANNOTATED = {
    ATTEMPT_VARIABLE: names.ATTEMPT,
    FAILURES_VARIABLE: names.FAILURES,
    IGNORED_VARIABLE: names.IGNORED,
}
"""Variable -> the annotation of the pod that it has the value of."""
STAYS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}
"""Asks autoscalers not to move a pod for the sake of tidiness."""
NO_SIDECAR_LABEL = {"sidecar.istio.io/inject": "false"}
NO_SIDECAR = {"linkerd.io/inject": "disabled"}
"""Opt out of service meshes: their sidecars outlive a Job's process, and our policies cut them off."""
SPARE_CPU = 1.0
"""Cores that a process may take beyond what it asks for: its I/O threads beside its numerics, never a whole machine."""
LOG_BYTES = 1024 * 2**20
"""Bytes for the output of a container, which lies on its node's disk."""
ASKED_DISK = 256 * 2**20
"""Bytes of that disk that the scheduler counts for a pod."""


@dataclass(frozen=True)
class Unpack:
    """Source of the user's own code for a pod."""

    archive: str
    """A path in the pod, or the URL of a store."""
    digest: str


def pod_values(plan: Plan, role: PlannedRole, sources: Sources, unpack: Unpack | None, attempt: int) -> Plain:
    """Return the values of `podspec.yaml.j2`. Raises InvalidInput for a variable that is not a person's to set."""
    return {
        "annotations": {
            **NO_SIDECAR,
            **(STAYS if role.ends_run else {}),
            **plan.pods.annotations,
            names.ATTEMPT: str(attempt),
        },
        "runtime_class": plan.pods.runtime_class,
        "scheduler": plan.pods.scheduler,
        "subdomain": plan.name,
        "account": _account(plan, role, sources),
        "user": None if plan.pods.namespace_user else names.USER_ID,
        "selector": names.selector(plan.name, role.name),
        "priority_class": role.priority_class,
        "image": role.image,
        "image_pull_policy": role.image_pull_policy,
        "image_pull_secrets": plan.image_pull_secrets,
        "affinity": {**affinity(role.selectors), **_beside_each_other(plan, role)},
        "tolerations": tolerations(role),
        "spread_over": SPREAD_OVER[role.spread],
        "container": names.WORKER,
        "wiring": f"{names.WIRING_FOLDER}/{role.name}.json",
        "run_folder": names.RUN_FOLDER,
        "termination": names.TERMINATION,
        "metrics_name": names.METRICS_PORT,
        "metrics_port": plan.prometheus_port if role.ends_run else None,
        "env": environment(role),
        "env_from_annotations": {name: f"metadata.annotations['{key}']" for name, key in ANNOTATED.items()},
        "resources": _resources(plan, role),
        "mounts": mounts(role, sources),
        "volumes": volumes(plan, role, sources),
        "code": _code(plan, role, sources, unpack),
    }


def environment(role: PlannedRole) -> dict[str, str]:
    """Return the variables of a role's processes, in Kubernetes' spelling; those of the experiment file win."""
    reserved = {INDEX_VARIABLE, *ANNOTATED} & role.env.keys()
    if reserved:
        raise InvalidInput(
            f"spec.roles.{role.name}.env: {', '.join(sorted(reserved))} is how a pod learns which process it is. "
            "Leave it out."
        )
    # the root file system cannot be written, and the image may know no home of this user
    ours = {**thread_variables(role), "PYTHONUNBUFFERED": "1", "HOME": "/tmp"}
    # Kubernetes would put other variables where a value says $(NAME)
    return {name: value.replace("$", "$$") for name, value in {**ours, **role.env}.items()}


def _account(plan: Plan, role: PlannedRole, sources: Sources) -> str:
    """Return the ServiceAccount of a role's pods: the run's own without rights, or the store's where they use it."""
    uses_store = role.ends_run or (sources.has_code and not sources.code)
    return plan.storage.service_account if plan.storage.service_account and uses_store else plan.name


def _resources(plan: Plan, role: PlannedRole, gpu: bool = True) -> dict[str, dict[str, str]]:
    """Return the requests that the scheduler counts, and the limits of a pod."""
    asked = role.resources
    memory = quantity(asked.memory)
    disk = quantity(LOG_BYTES + local_disk(plan, role))
    limits = {"cpu": cores(asked.cpu + SPARE_CPU), "memory": memory, "ephemeral-storage": disk}
    if asked.gpu and gpu:
        limits[asked.gpu_resource] = str(asked.gpu)
    return {
        "requests": {"cpu": cores(asked.cpu), "memory": memory, "ephemeral-storage": quantity(ASKED_DISK)},
        "limits": limits,
    }


def cores(cpu: float) -> str:
    """Write cores as Kubernetes writes them, rounded up to a thousandth."""
    milli = math.ceil(round(cpu * 1000, 3))
    return f"{milli}m" if milli % 1000 else str(milli // 1000)


def _code(plan: Plan, role: PlannedRole, sources: Sources, unpack: Unpack | None) -> dict[str, Any] | None:
    if not unpack:
        return None
    return {
        "container": names.UNPACK,
        "archive": unpack.archive,
        "folder": names.CODE_FOLDER,
        "digest": unpack.digest,
        "resources": _resources(plan, role, gpu=False),
        "mounts": unpack_mounts(role, sources),
    }


LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
LOST_SECONDS = 30
"""After which a pod on a node that is gone is replaced; Kubernetes' own are 300."""
MOST_WEIGHT = 100


def _beside_each_other(plan: Plan, role: PlannedRole) -> Plain:
    """Return pod affinity for several pods that mount the claim of the run, which one node at a time has."""
    if not role.ends_run or role.replicas == 1 or plan.storage.kind != "claim":
        return {}
    same = {"labelSelector": {"matchLabels": names.selector(plan.name, role.name)}, "topologyKey": HOST}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [same]}}


def affinity(selectors: Sequence[dict[str, str | tuple[str, ...]]]) -> Plain:
    """Node affinity for any one of `selectors`, the first liked most; empty where every node will do."""
    # a term without labels fits no node, where a pool without labels is all of them
    if not selectors or not all(selectors):
        return {}
    rules: Plain = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_term(each) for each in selectors]}
    }
    if len(selectors) > 1:
        rules["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": max(1, MOST_WEIGHT // 2**place), "preference": _term(each)}
            for place, each in enumerate(selectors)
        ]
    return {"nodeAffinity": rules}


def tolerations(role: PlannedRole) -> list[Plain]:
    """Return the tolerations of a role's pods: for its pools, for GPU machines, and for a lost node for a while."""
    own = [_toleration(each.key, each.value, each.effect) for each in role.tolerations]
    if role.resources.gpu:
        needed = [_toleration(each.key, each.value, each.effect) for each in labels.tolerations((), role.accelerator)]
        own += [each for each in needed if each not in own]
    lost = [{**_toleration(key, None, "NoExecute"), "tolerationSeconds": LOST_SECONDS} for key in LOST_NODE]
    return own + (lost if role.expendable else [])


def _term(selector: dict[str, str | tuple[str, ...]]) -> Plain:
    values = {key: [value] if isinstance(value, str) else list(value) for key, value in selector.items()}
    return {"matchExpressions": [{"key": key, "operator": "In", "values": each} for key, each in values.items()]}


def _toleration(key: str, value: str | None, effect: str | None) -> Plain:
    matches: Plain = {"operator": "Exists"} if value is None else {"operator": "Equal", "value": value}
    return {"key": key, **matches, **({"effect": effect} if effect else {})}


HOPELESS = (ExitCode.INVALID, ExitCode.FATAL, ExitCode.STOPPED)
"""Another start would end the same way, or a limit of the run is reached."""
NEEDED_TRIES, EXPENDABLE_TRIES = 20, 1000
"""Failures of one index until it is given up. Killed and deleted pods count, and spot machines are taken all day."""


def pod_failure_rules(plan: Plan, role: PlannedRole) -> list[dict[str, Any]]:
    """Return the rules of a role's podFailurePolicy. The first that fits decides; any other failure is counted."""
    rules: list[dict[str, Any]] = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        _on_exit("Ignore", (ExitCode.PREEMPTED,)),
    ]
    if not plan.queue or can_fail(plan, role):
        rules.append(_on_exit("FailJob", HOPELESS))
    return rules


def can_fail(plan: Plan, role: PlannedRole) -> bool:
    """Return whether the run fails when this role cannot go on."""
    return not role.expendable or feeds_the_run(plan, role.name)


def tries(role: PlannedRole) -> int:
    """Counted failures of one index until it is given up."""
    return EXPENDABLE_TRIES if role.expendable else NEEDED_TRIES


def _on_exit(action: str, codes: tuple[ExitCode, ...]) -> dict[str, Any]:
    return {"action": action, "onExitCodes": {"operator": "In", "values": sorted(int(code) for code in codes)}}
