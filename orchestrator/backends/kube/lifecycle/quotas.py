"""Will a run fit into the quotas of its namespace? Said before anything is made, in the quota's own words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from surreal.orchestrator.backends.kube.names import COMPONENT
from surreal.provisioner.kube.kinds import KINDS, Object
from surreal.provisioner.kube.resources import quantity

Demand = dict[str, float]
"""Resource as a quota calls it -> so much of it."""


def demand(objects: Iterable[Object]) -> Demand:
    """Return the sum that these objects and all pods of their Jobs ask of a quota."""
    total: Demand = {}
    for each in objects:
        kind = KINDS[each["kind"]]
        one = {f"count/{kind.plural}" + (f".{kind.group}" if kind.group else ""): 1.0}
        _add(total, one if kind.group else {**one, kind.plural: 1.0})
        if each["kind"] == "PersistentVolumeClaim":
            _add(total, {"requests.storage": quantity(each["spec"]["resources"]["requests"]["storage"])})
        for job in _jobs(each):
            _add(total, _pods(job))
    return total


def too_small(quotas: Iterable[Object], objects: Sequence[Object]) -> tuple[list[str], list[str]]:
    """Return the sentences about quotas that the run can never fit into (or its most important role not now), and those
    that it does not fit into while others use them."""
    never, later = [], []
    for each in quotas:
        counted = [thing for thing in objects if _counts(each["spec"], thing)]
        whole, least = demand(counted), demand(_least(counted))
        status, name = each.get("status") or {}, each["metadata"]["name"]
        hard, used = status.get("hard") or each["spec"].get("hard") or {}, status.get("used") or {}
        for resource, most in hard.items():
            free = quantity(most) - quantity(used.get(resource, 0))
            asked = max(whole.get(resource, 0), whole.get(f"requests.{resource}", 0))
            needed = max(least.get(resource, 0), least.get(f"requests.{resource}", 0))
            said = f"quota {name}: asked {_shown(asked)} {resource}, {_shown(free)} of {_shown(quantity(most))} free"
            if asked > quantity(most) or needed > free:
                never.append(said)
            elif asked > free:
                later.append(said)
    return never, later


def _counts(quota: Mapping[str, Any], thing: Object) -> bool:
    """Return whether a quota counts an object. With scopes it counts only pods, those in all of them."""
    rules = [{"scopeName": name, "operator": "Exists"} for name in quota.get("scopes") or ()]
    rules += (quota.get("scopeSelector") or {}).get("matchExpressions") or ()
    pods = [job["template"]["spec"] for job in _jobs(thing)]
    return not rules or (bool(pods) and all(_in_scope(rule, pod) for rule in rules for pod in pods))


def _in_scope(rule: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Return whether a pod of ours is in a scope. All of them ask for resources and have no deadline of their own."""
    if rule["scopeName"] != "PriorityClass":
        return rule["scopeName"] in ("NotTerminating", "NotBestEffort")
    name, values = pod.get("priorityClassName"), rule.get("values") or ()
    match rule.get("operator"):
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "DoesNotExist":
            return not name
    return bool(name)


def _least(objects: Sequence[Object]) -> Iterator[Object]:
    """Yield the objects needed at once: all that are no Jobs, and the Job of the role that ends the run."""
    ender = next((each["metadata"]["labels"].get(COMPONENT) for each in objects if each["kind"] == "Job"), None)
    for each in objects:
        if each["kind"] != "Job" or each["metadata"]["labels"].get(COMPONENT) == ender:
            yield each


def _jobs(each: Object) -> Iterator[dict[str, Any]]:
    """Yield the Job specs in an object."""
    if each["kind"] == "Job":
        yield each["spec"]
    for inner in each["spec"]["replicatedJobs"] if each["kind"] == "JobSet" else ():
        yield inner["template"]["spec"]


def _pods(job: Mapping[str, Any]) -> Demand:
    """Return the sum that all pods of a Job ask."""
    count, pod = job.get("parallelism", 1), job["template"]["spec"]
    total: Demand = {"pods": count, "count/pods": count}
    for side in ("requests", "limits"):
        asked = _sum(pod.get("containers") or (), side)
        for first in pod.get("initContainers") or ():
            # they run before the others, one by one
            asked = {**asked, **{key: max(most, asked.get(key, 0.0)) for key, most in _sum([first], side).items()}}
        total |= {f"{side}.{resource}": count * amount for resource, amount in asked.items()}
    return total


def _sum(containers: Iterable[Mapping[str, Any]], side: str) -> Demand:
    total: Demand = {}
    for each in containers:
        given = each.get("resources") or {}
        # what has a limit and no request asks for the limit
        asked = {**(given.get("limits") or {}), **((given.get("requests") or {}) if side == "requests" else {})}
        _add(total, {resource: quantity(amount) for resource, amount in asked.items()})
    return total


def _add(total: Demand, more: Mapping[str, float]) -> None:
    for key, amount in more.items():
        total[key] = total.get(key, 0.0) + amount


def _shown(amount: float) -> str:
    """Write an amount as `4`, `0.5` or `1.5Gi`."""
    for unit, size in (("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20)):
        if abs(amount) >= size:
            return f"{amount / size:.4g}{unit}"
    return f"{amount:.6g}"
