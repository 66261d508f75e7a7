"""Runs that an Experiment of the cluster has: the verbs of the command line go through its spec, as kubectl's do."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from surreal.orchestrator.backends.kube.lifecycle import delete as remove
from surreal.orchestrator.backends.kube.names import ATTEMPT, CREATED, EXPERIMENT, SUSPENDED_BY
from surreal.orchestrator.backends.kube.status.collect import snapshot
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.run.status import State, Status
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import ABSENT, FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import condition, moment, name_of, number, text

BY_SPEC = {SUSPENDED_BY: "spec.suspend"}
"""Annotation of the root of a run that spec.suspend has stopped; only such a one goes on by itself."""
WANTED_ATTEMPT = ATTEMPT
"""Annotation of an Experiment: the attempt that `surreal resume` asks for."""
PATIENCE_S, LOOK_S = 60.0, 0.5
"""Seconds that an operator has to take up what it is asked for, and between two looks."""
Talk = Callable[[str], None]


def listed(api: Api) -> list[Object]:
    """Return the Experiments of the namespace; none where the cluster does not know them or the user may not look."""
    try:
        return api.list("Experiment")
    except ApiError as error:
        if error.status not in (ABSENT, FORBIDDEN):
            raise
        return []


def with_others(api: Api, found: Iterable[Status]) -> list[Status]:
    """Return the statuses of runs and those of Experiments without a run: not begun, refused, or over and removed."""
    known = {each.name: each for each in found}
    alone = [own_status(each) for each in listed(api) if name_of(each) not in known]
    return sorted([*known.values(), *alone], key=lambda status: status.name)


def holds(api: Api, name: str) -> bool:
    """Return whether an Experiment has the run of this name, or has this name and no run yet."""
    root = api.find("ConfigMap", name)
    if root and not text(root, "metadata", "annotations", EXPERIMENT):
        return False
    return api.find_if_allowed("Experiment", name) is not None


def status(api: Api, name: str, of_run: Callable[[Snapshot], Status]) -> Status:
    """Return the status of a run, with what its Experiment asks in vain; or that of an Experiment without a run."""
    try:
        seen = snapshot(api, name)
    except NotFound:
        if alone := api.find_if_allowed("Experiment", name):
            return own_status(alone)
        raise
    held = text(seen.root, "metadata", "annotations", EXPERIMENT)
    return with_refusal(of_run(seen), api.find("Experiment", name) if held else None)


def own_status(resource: Object) -> Status:
    """Return the status of an Experiment as its operator has written it."""
    found = resource.get("status") or {}
    made = moment(resource, "metadata", "creationTimestamp")
    unseen = "no operator has looked at it yet: is one installed? surreal cluster install --operator"
    labels = resource["metadata"].get("labels") or {}
    return Status(
        name_of(resource),
        "kube",
        f"experiment/{name_of(resource)}",
        cast(State, text(found, "state") or "pending"),
        text(found, "reason") or ("" if found else unseen),
        made.isoformat() if isinstance(made, datetime) else "",
        Progress(steps=number(found, "steps"), total_steps=number(found, "totalSteps") or None),
        labels={key: value for key, value in labels.items() if "/" not in key},
    )


def with_refusal(status: Status, resource: Object | None) -> Status:
    """Return the status of a run with what its Experiment asks in vain.

    A run that its queue has put back has no pod that tells how far it is: then the operator has seen it last.
    """
    if not status.progress.steps and (seen := number(resource, "status", "steps")):
        status = replace(status, progress=replace(status.progress, steps=seen))
    refused = condition(resource, "Accepted", "False")
    if not refused or status.over:
        return status
    return replace(status, reason="\n".join(filter(None, (text(refused, "message"), status.reason))))


def stop(api: Api, name: str, talk: Talk) -> bool:
    """Set spec.suspend, and stop the run as the operator would: it works where that is away, too."""
    api.patch("Experiment", name, {"spec": {"suspend": True}})
    if not api.find("ConfigMap", name):
        return False
    return remove.stop(api, name, talk, BY_SPEC)


def change(api: Api, name: str, changes: Iterable[str], check_only: bool) -> Sequence[str]:
    """Write other numbers of processes into the spec, and return no warnings: the operator says them.

    Raises InvalidInput for any other change: it would not last.
    """
    roles: dict[str, Object] = {}
    for each in changes:
        found = re.fullmatch(r"spec\.roles\.([-a-z0-9]+)\.replicas=([0-9]+)", each)
        if not found:
            raise InvalidInput(
                f"--set {each}: {name} is an Experiment of the cluster, whose spec does not change but for "
                "spec.roles.ROLE.replicas. Apply it under another name."
            )
        roles[found[1]] = {"replicas": int(found[2])}
    if not check_only:
        # replicas of kubectl scale would win over those of the roles
        api.patch("Experiment", name, {"spec": {"roles": roles, "replicas": 0}})
    return ()


def resume(api: Api, name: str, seen: Snapshot) -> None:
    """Ask the operator for the next attempt, and wait until it has begun. Raises SurrealError where none does."""
    attempt = number(seen.root, "metadata", "annotations", ATTEMPT)
    asked = {"metadata": {"annotations": {WANTED_ATTEMPT: str(attempt + 1)}}, "spec": {"suspend": False}}
    api.patch("Experiment", name, asked)
    waited = 0.0
    while waited < PATIENCE_S:
        root = api.find("ConfigMap", name)
        begun = number(root, "metadata", "annotations", ATTEMPT) > attempt
        if begun and text(root, "metadata", "annotations", CREATED):
            return
        api.pause(LOOK_S)
        waited += LOOK_S
    raise SurrealError(
        f"{name}: no operator has begun it again in {PATIENCE_S:g} s. Look at the operator: "
        f"kubectl -n {api.namespace} logs deployment/surreal-operator"
    )
