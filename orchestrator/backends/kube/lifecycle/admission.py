"""Pods tried before a `create`: what the cluster's admission refuses, and what it changes.

One pod of each role is sent as a dry run. Limits, quotas, security levels and webhooks judge it as they will judge the
pods of the Job, and nothing is made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube.names import COMPONENT
from surreal.orchestrator.backends.kube.status.causes.pod_creation import refusal
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, UNPROCESSABLE, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import clip, rows
from surreal.provisioner.kube.resources import quantity
from surreal.provisioner.kube.together import together

ANY_ACCOUNT = "default"
"""ServiceAccount that every namespace has: the run's own is not there yet."""
FULL = "exceeded quota"
"""Words of a refusal that passes: what others use now, they may leave."""


@dataclass(frozen=True)
class Verdict:
    """The answer of the cluster's admission."""

    refused: tuple[str, ...] = ()
    """A sentence for each role whose pods it would not take."""
    changed: tuple[str, ...] = ()
    """A sentence for each role whose pods it changes."""


def judge(api: Api, objects: Sequence[Object]) -> Verdict:
    """Return what admission makes of the pods of these objects. Needs the right to create pods."""
    refused, changed = [], []
    pods = list(_pods(objects))
    for (role, pod), taken in zip(pods, together(lambda each: _tried(api, each[1]), pods), strict=True):
        if isinstance(taken, ApiError):
            refused.append(f"{role}: {refusal(_words(taken), role)}")
        elif said := "; ".join(_changes(pod["spec"], taken.get("spec") or {})):
            changed.append(f"the cluster's admission changes the pods of {role}: {clip(said)}")
    return Verdict(tuple(refused), tuple(changed))


def _tried(api: Api, pod: Object) -> Object | ApiError:
    """Return the pod as the cluster would take it, or its refusal; as it is where the server cannot answer that now."""
    try:
        return api.post("Pod", pod, dry_run=True)
    except ApiError as error:
        final = error.status in (FORBIDDEN, UNPROCESSABLE) and FULL not in _words(error)
        return error if final else pod


def templates(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Yield role and pod template of every Job, also of those in a JobSet."""
    for each in objects:
        jobs = [each["spec"]] if each["kind"] == "Job" else []
        if each["kind"] == "JobSet":
            jobs = [inner["template"]["spec"] for inner in each["spec"]["replicatedJobs"]]
        for job in jobs:
            template = job["template"]
            yield str((template["metadata"].get("labels") or {}).get(COMPONENT, "")), template


def _pods(objects: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    for role, template in templates(objects):
        about = {**template["metadata"], "generateName": f"{role}-"}
        spec = {**template["spec"], "serviceAccountName": ANY_ACCOUNT}
        yield role, {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def _words(error: ApiError) -> str:
    return str(error.body.get("message") or error)


def _changes(sent: Object, taken: Object) -> Iterator[str]:
    """Yield what is another in the pod that was taken: containers that are added, and amounts of resources."""
    for kind in ("initContainers", "containers"):
        ours = {each["name"]: each for each in rows(sent, kind)}
        for each in rows(taken, kind):
            if each["name"] not in ours:
                yield f"container {each['name']} is added"
            else:
                yield from _amounts(ours[each["name"]], each)


def _amounts(ours: Object, theirs: Object) -> Iterator[str]:
    for side in ("requests", "limits"):
        asked, given = ((each.get("resources") or {}).get(side) or {} for each in (ours, theirs))
        for resource in sorted({*asked, *given}):
            old, new = asked.get(resource), given.get(resource)
            if _amount(old) != _amount(new):
                yield f"{side}.{resource} of {ours['name']} {old or 'none'} -> {new or 'none'}"


def _amount(text: Any) -> float:
    return 0.0 if text is None else quantity(str(text))
