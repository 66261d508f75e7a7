"""Which nodes the pods of a role go to."""

from collections.abc import Sequence
from typing import Any

from surreal.orchestrator.plan import PlannedRole
from surreal.provisioner.labels import GPU

Plain = dict[str, Any]

LOST_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
LOST_SECONDS = 30
"""After which a pod on a node that is gone is replaced; Kubernetes' own are 300."""
MOST_WEIGHT = 100


def affinity(selectors: Sequence[dict[str, str]]) -> Plain | None:
    """Node affinity for any one of `selectors`, the first liked most; None where every node will do."""
    # a term without labels fits no node, where a pool without labels is all of them
    if not selectors or not all(selectors):
        return None
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
    """The taints that a role's pods put up with: those of its pools, of GPU machines, and a lost node's for a while."""
    own = [_toleration(each.key, each.value, each.effect) for each in role.tolerations]
    gpu = _toleration(GPU, None, None)
    if role.resources.gpu and gpu not in own:
        own.append(gpu)
    lost = [{**_toleration(key, None, "NoExecute"), "tolerationSeconds": LOST_SECONDS} for key in LOST_NODE]
    return own + (lost if role.expendable else [])


def _term(selector: dict[str, str]) -> Plain:
    return {"matchExpressions": [{"key": key, "operator": "In", "values": [value]} for key, value in selector.items()]}


def _toleration(key: str, value: str | None, effect: str | None) -> Plain:
    matches: Plain = {"operator": "Exists"} if value is None else {"operator": "Equal", "value": value}
    return {"key": key, **matches, **({"effect": effect} if effect else {})}
