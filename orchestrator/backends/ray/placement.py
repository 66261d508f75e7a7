"""Placement of processes: what a host asks of Ray, by the plan's role, and the group of a role that starts together."""

from collections.abc import Mapping, Sequence
from typing import Any

from surreal.orchestrator.plan.feasibility import same_kind
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.protocol.documents.quantity import format_memory
from surreal.provisioner.kube.resources import GPU

HEAD = "node:__internal_head__"
"""Resource that only the head's node has."""
A_LITTLE = 0.001
NODE_ID = "ray.io/node-id"
HOST_THREADS = 8
"""Calls that a host answers at once: one runs the worker."""
RAY_NAMES = {GPU: "GPU"}
"""Names of resources where Ray's differ from those of Kubernetes."""
KIND = "accelerator_type:"


def supervisor_options(name: str) -> dict[str, Any]:
    """Return what the supervisor of a run asks for: nothing, on the node that a cluster lives as long as."""
    return {
        "name": name,
        "lifetime": "detached",
        "num_cpus": 0,
        "resources": {HEAD: A_LITTLE},
        "max_restarts": -1,
        "max_concurrency": 32,
    }


def host_options(role: PlannedRole, kinds: Sequence[str], lost: Sequence[str]) -> dict[str, Any]:
    """Return what the host of one process of a role asks for, on no node of `lost`.

    `kinds` are the accelerators of the cluster, as Ray calls them.
    """
    options: dict[str, Any] = {**resources(role, kinds), "max_restarts": 0, "max_concurrency": HOST_THREADS}
    selectors = [_selector(each, lost) for each in role.selectors] or [_selector({}, lost)]
    if selectors[0]:
        options["label_selector"] = selectors[0]
    if others := [{"label_selector": each} for each in selectors[1:] if each]:
        options["fallback_strategy"] = others
    if role.spread != "none":
        options["scheduling_strategy"] = "SPREAD"
    return options


def resources(role: PlannedRole, kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Return the resources of one process as options of an actor."""
    asked = role.resources
    found: dict[str, Any] = {"num_cpus": asked.cpu, "memory": asked.memory}
    if not asked.gpu:
        return found
    kind = next((each for each in kinds if asked.gpu_kind and same_kind(asked.gpu_kind, each)), "")
    named = {KIND + kind: A_LITTLE} if kind else {}
    name = RAY_NAMES.get(asked.gpu_resource, asked.gpu_resource)
    if name == "GPU":
        return {**found, "num_gpus": asked.gpu, "resources": named}
    return {**found, "resources": {name: asked.gpu, **named}}


def bundle(role: PlannedRole, kinds: Sequence[str] = ()) -> dict[str, float]:
    """Return the resources of one process as a bundle of a placement group."""
    asked = resources(role, kinds)
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    plain = {names[key]: value for key, value in asked.items() if key in names and value}
    return {**plain, **asked.get("resources", {})}


def in_words(role: PlannedRole) -> str:
    """Return what one process of a role asks for: `1 CPU, 512Mi memory and 1 GPU`."""
    asked = role.resources
    gpus = f" and {asked.gpu} {RAY_NAMES.get(asked.gpu_resource, asked.gpu_resource)}" if asked.gpu else ""
    return f"{asked.cpu:g} CPU, {format_memory(asked.memory)} memory{gpus}"


def starts_together(plan: Plan, role: PlannedRole) -> bool:
    """Return True for a role of several processes that the run cannot do without: it gets one placement group."""
    return not role.expendable and role.replicas > 1


def labels(role: PlannedRole) -> dict[str, str]:
    """Return the labels of the nodes that a role wants most."""
    return _selector(role.selectors[0] if role.selectors else {}, ())


def strategy(role: PlannedRole) -> str:
    """Return the strategy of a role's placement group."""
    return "PACK" if role.spread == "none" else "SPREAD"


def kinds_of(resources: Mapping[str, float]) -> list[str]:
    """Return the accelerators that a cluster's resources name."""
    return [name.removeprefix(KIND) for name in resources if name.startswith(KIND)]


def _selector(labels: Mapping[str, str | tuple[str, ...]], lost: Sequence[str]) -> dict[str, str]:
    found = {key: value if isinstance(value, str) else f"in({','.join(value)})" for key, value in labels.items()}
    return {**found, NODE_ID: f"!in({','.join(lost)})"} if lost else found
