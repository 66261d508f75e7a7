"""Nodes as the API lists them, for tests that say only what matters."""

from typing import Any

Json = dict[str, Any]


def node(
    name: str,
    cpu: Any = 8,
    memory: Any = "32Gi",
    taints: Any = None,
    offers: Any = None,
    arch: Any = "amd64",
    os: Any = "linux",
    spec: Any = None,
    ready: Any = "True",
    **labels: Any,
) -> Json:
    """One node; `taints` are key -> `value:effect`, underscores in labels' names stand for `/`."""
    listed = [
        {"key": key, "value": text.partition(":")[0], "effect": text.partition(":")[2]}
        for key, text in (taints or {}).items()
    ]
    system = {"kubernetes.io/hostname": name, "kubernetes.io/os": os, "kubernetes.io/arch": arch}
    allocatable = {"cpu": str(cpu), "memory": memory, "pods": "110", **{k: str(v) for k, v in (offers or {}).items()}}
    return {
        "metadata": {"name": name, "labels": {**system, **{key.replace("_", "/"): v for key, v in labels.items()}}},
        "spec": {**({"taints": listed} if listed else {}), **(spec or {})},
        "status": {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": ready}]},
    }


CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


def control_plane(name: str, tainted: bool = True, **more: Any) -> Json:
    """A machine that runs the cluster itself."""
    made = node(name, taints={CONTROL_PLANE: ":NoSchedule"} if tainted else None, **more)
    made["metadata"]["labels"][CONTROL_PLANE] = ""
    return made
