"""Read-only checks of the things that experiments need from a cluster and a namespace.

A user with rights in one namespace alone cannot see all of them: such a check says so and fails nothing.
"""

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

from surreal.orchestrator.backends.kube.doctor import cluster as equipment
from surreal.orchestrator.backends.kube.doctor.cluster import NAME as ENFORCEMENT
from surreal.orchestrator.backends.kube.doctor.cluster import enforcement
from surreal.orchestrator.backends.kube.lifecycle import rbac as rights
from surreal.orchestrator.doctor import Check
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError, NoNamespaceError
from surreal.provisioner.kube.kinds import KINDS, Object
from surreal.provisioner.kube.resources import quantity

GENERAL, LEAST = (1, 33), (1, 29)
"""Versions of Kubernetes: from here on all fields that surreal sends are generally available; are there by default."""
LEVEL = "pod-security.kubernetes.io/enforce"
JOBSETS, QUEUES = KINDS["JobSet"].group, KINDS["LocalQueue"].group
HIDDEN = "you may not look"
NOT_NEEDED = "experiments run without this right; a user who has it sees the result"


def kube_checks(api: Api) -> Iterator[Check]:
    """Yield the checks of the cluster and the namespace of `api`, each as soon as it is done.

    Without an answer of the API server the first check is the last. Any other fault is the result of one check.
    """
    try:
        version = api.raw_get("/version")
    except ApiError as error:
        yield Check("API server", "missing", str(error))
        return
    yield server(version, api.context)
    namespace = _namespace(api)
    yield namespace
    groups = _groups(api)
    yield looked("your rights", lambda: _rights(api, JOBSETS in groups))
    if namespace.state != "missing":
        yield looked("ResourceQuota", lambda: quotas(api.list("ResourceQuota")))
        yield looked("LimitRange", lambda: limits(api.list("LimitRange")))
    nodes = yield from _nodes(api)
    yield looked("storage", lambda: equipment.storage(api.list("StorageClass"), nodes))
    yield looked(ENFORCEMENT, lambda: enforcement(api.list("DaemonSet", everywhere=True)))
    yield from equipment.installed(groups)
    if QUEUES in groups:
        yield looked("queues", lambda: equipment.queues(api.list("LocalQueue")))


def server(version: Mapping[str, str], context: str) -> Check:
    """Check that this Kubernetes is new enough. `version` is the answer of `/version`."""
    shown = f"Kubernetes {str(version.get('gitVersion')).removeprefix('v')} (context {context})"
    # some providers write the minor as `33+`
    numbers = [re.match(r"\d+", str(version.get(part, ""))) for part in ("major", "minor")]
    number = tuple(int(match[0]) for match in numbers if match)
    if number >= GENERAL:
        return Check("API server", "ok", shown)
    later = "backoffLimitPerIndex and maxFailedIndexes are generally available from 1.33 on"
    if number >= LEAST:
        return Check("API server", "warn", shown, f"{later}, beta here; not tried with this version")
    return Check("API server", "missing", shown, f"{later}: without them one bad index ends the whole role")


def _namespace(api: Api) -> Check:
    def look() -> Check:
        found = api.get("Namespace", api.namespace)
        if found["metadata"].get("deletionTimestamp"):
            return Check("namespace", "missing", f"{api.namespace} is being removed", "wait, or choose another: -n")
        level = (found["metadata"].get("labels") or {}).get(LEVEL)
        shown = f"{api.namespace}, {f'Pod Security {level} enforced' if level else 'no Pod Security level enforced'}"
        how = f"pods of experiments satisfy restricted: kubectl label ns {api.namespace} {LEVEL}=restricted"
        return Check("namespace", "ok", shown, "" if level == "restricted" else how)

    try:
        return look()
    except ApiError as error:
        if error.status == FORBIDDEN:
            return Check("namespace", "unknown", f"{api.namespace}: {HIDDEN}", NOT_NEEDED)
        follows = (
            f"kubectl create ns {api.namespace}" if isinstance(error, NoNamespaceError) or error.status == 404 else ""
        )
        return Check("namespace", "missing", str(error), follows)


def _rights(api: Api, with_jobsets: bool) -> Check:
    needed = rights.rights(rights.NEEDED)
    handy = rights.rights({**rights.HANDY, **(rights.QUEUED if with_jobsets else {})})
    missed = rights.missing(api, [*needed, *handy])
    if not missed:
        return Check("your rights", "ok", f"all that experiments need in {api.namespace}")
    lacking = [right for right in missed if right in needed]
    consequence = "no experiment can run" if lacking else "experiments run, but not all that surreal can do works"
    follows = f"{consequence}; an administrator grants them by surreal cluster install --set 'rbac.users={{YOU}}'"
    every = len(missed) == len(needed) + len(handy)
    shown = f"none in {api.namespace}" if every else f"missing: {rights.listed(missed)}"
    return Check("your rights", "missing" if lacking else "warn", shown, follows)


def _groups(api: Api) -> Mapping[str, Sequence[str]]:
    """Return the served versions of each API group. Every user known to the server has this right."""
    try:
        found = api.raw_get("/apis")["groups"]
    except ApiError:
        return {}
    return {each["name"]: [version["version"] for version in each["versions"]] for each in found}


def _nodes(api: Api) -> Generator[Check, None, int]:
    """Yield the checks of the nodes; return their number as far as the user may know it."""
    try:
        found = api.list("Node")
    except ApiError as error:
        yield from (_hidden(name, error) for name in ("nodes", "GPUs", "image"))
        return 0
    yield from (equipment.nodes(found), equipment.gpus(found), equipment.image(found))
    return len(found)


def quotas(found: Sequence[Object]) -> Check:
    """Check the namespace's quotas for room."""
    used, full = [], []
    for each in found:
        status = each.get("status") or {}
        for resource, hard in (status.get("hard") or {}).items():
            now = (status.get("used") or {}).get(resource, "0")
            used.append(f"{resource} {now} of {hard}")
            full += [resource] if quantity(now) >= quantity(hard) else []
    if not found:
        return Check("ResourceQuota", "ok", "none: nothing is limited")
    follows = f"no room for more {', '.join(full)}: pods wait until it is larger" if full else ""
    return Check("ResourceQuota", "warn" if full else "ok", ", ".join(used) or "limits nothing", follows)


def limits(found: Sequence[Object]) -> Check:
    """Return the bounds of what a container may ask for."""
    bounds = [
        f"{resource} {words} {amount}"
        for each in found
        for limit in each["spec"].get("limits") or ()
        if limit.get("type") in ("Container", "Pod")
        for key, words in (
            ("max", "at most"),
            ("min", "at least"),
            ("maxLimitRequestRatio", "limit over request at most"),
        )
        for resource, amount in (limit.get(key) or {}).items()
    ]
    return Check("LimitRange", "ok", ", ".join(bounds) or "none that bounds a container")


def looked(name: str, look: Callable[[], Check]) -> Check:
    """Return the result of `look`, or a check with the reason why it failed."""
    try:
        return look()
    except ApiError as error:
        return _hidden(name, error)


def _hidden(name: str, error: ApiError) -> Check:
    if error.status == FORBIDDEN:
        return Check(name, "unknown", HIDDEN, NOT_NEEDED)
    return Check(name, "unknown", str(error))
