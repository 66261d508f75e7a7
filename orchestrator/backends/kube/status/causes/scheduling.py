"""Reasons why a pod has no node, from the scheduler's and the autoscaler's words: numbers of nodes, and a way out."""

import re
from collections import Counter
from collections.abc import Sequence

from surreal.orchestrator.backends.kube.status.snapshot import Event
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.documents.quantity import format_size
from surreal.provisioner.kube.objects import clip
from surreal.provisioner.kube.resources import is_accelerator

_HEAD = re.compile(r"0/(\d+) nodes are available: (.*)", re.DOTALL)
_REST = re.compile(r"\.? *(no new claims to deallocate|preemption:|Preemption ).*", re.DOTALL)
"""The scheduler's addition about preemption and claims of devices; it repeats the cause."""
_CLAUSE = re.compile(r", (?=\d+ )")
_TAINT = re.compile(r"\{([^:}]*): *([^}]*)\}")
_SCALED = re.compile(r"(\d+)->(\d+)(?: \(max: (\d+)\))?")


def unschedulable(message: str, role: PlannedRole | None, name: str) -> str:
    """Turn the scheduler's message into one sentence with its numbers and the way out; `name` is the role's."""
    head = _HEAD.search(message)
    if not head:
        none = "no nodes available" in message
        return "the cluster has no nodes: surreal pools --on kube" if none else clip(message) or "no node fits"
    nodes = int(head[1])
    causes: Counter[str] = Counter()
    for clause in _CLAUSE.split(_REST.sub("", head[2]).strip(" .")):
        count, _, cause = clause.partition(" ")
        if count.isascii() and count.isdigit() and cause:
            causes[cause.strip()] += int(count[:9])
    if not causes:
        return f"0/{nodes} nodes can take it: {clip(head[2])}"
    if role and role.accelerator and list(causes) == [f"Insufficient {role.accelerator}"]:
        asked = f"0/{nodes} nodes have {role.accelerator}: {role.resources.gpu} free"
        return f"{asked}; {_way_out(f'Insufficient {role.accelerator}', name)}"
    said = ", ".join(f"{count} {_cause(cause, count, role)}" for cause, count in causes.most_common())
    way_out = _way_out(causes.most_common(1)[0][0], name)
    return f"0/{nodes} nodes can take it: {clip(said)}{_asks(causes, role)}; {way_out}"


def autoscaler(events: Sequence[Event]) -> str:
    """Return the autoscaler's answer from a pod's events, the newest first; empty if there is none."""
    for event in events:
        if event.reason == "TriggeredScaleUp":
            steps = [
                f"{a} to {b}" + (f" of at most {most}" if most else "") for a, b, most in _SCALED.findall(event.text)
            ]
            return "the autoscaler adds machines" + (f" ({', '.join(steps)})" if steps else "")
        if event.reason == "NotTriggerScaleUp":
            return f"the autoscaler adds none: {clip(event.text.rpartition('scale-up')[2].strip(' :') or event.text)}"
        if event.reason == "Nominated":
            return f"a machine is on its way: {clip(event.text.rpartition(' on: ')[2])}"
    return ""


def _cause(cause: str, count: int, role: PlannedRole | None) -> str:
    """Turn `Insufficient cpu` into a clause about so many nodes."""
    one = count == 1
    if cause.startswith("Insufficient "):
        return f"{'lacks' if one else 'lack'} {cause.removeprefix('Insufficient ')}"
    taint = _TAINT.search(cause)
    if taint:
        return f"{'has' if one else 'have'} the taint {taint[1]}" + (f"={taint[2].strip()}" if taint[2].strip() else "")
    if "affinity/selector" in cause:
        return f"{'is' if one else 'are'} not of pool {role.pool if role else ''}".rstrip()
    if cause.endswith("were unschedulable"):
        return f"{'is' if one else 'are'} cordoned"
    return cause.replace("node(s) ", "")


def _asks(causes: Counter[str], role: PlannedRole | None) -> str:
    """Return how much a pod asks of the resources that are lacking."""
    if role is None:
        return ""
    each = {
        "cpu": f"{role.resources.cpu:g}",
        "memory": format_size(role.resources.memory),
        role.accelerator: str(role.resources.gpu),
    }
    lacking = [f"{what} {much}" for what, much in each.items() if f"Insufficient {what}" in causes]
    return f"; each process asks {', '.join(lacking)}" if lacking else ""


def _way_out(cause: str, name: str) -> str:
    """Return advice against the cause that rules out most nodes."""
    spec = f"spec.roles.{name}"
    if cause.startswith("Insufficient ") and is_accelerator(cause.removeprefix("Insufficient ")):
        return f"wait for one, add machines with GPUs, or set {spec}.resources.gpu: 0"
    if cause == "Insufficient ephemeral-storage":
        return "wait, or have a node with free local disk; a node that does not account local storage takes no such pod"
    if cause.startswith("Insufficient ") or cause == "Too many pods":
        return f"wait, lower {spec}.resources or replicas, or add machines"
    if "affinity/selector" in cause or _TAINT.search(cause):
        return f"set {spec}.pool to one of `surreal pools --on kube`"
    if "topology spread" in cause:
        return f"add machines, or set {spec}.spread: none"
    if "unschedulable" in cause:
        return "wait, or kubectl uncordon NODE"
    if "persistent volumes to bind" in cause:
        return "no volume is as large or can be made there: lower spec.storage.size, or set spec.storage.className"
    if "volume" in cause:
        return "the claim's volume is in another zone or on another node: let the role run there, or set spec.storage"
    return "kubectl describe nodes tells more"
