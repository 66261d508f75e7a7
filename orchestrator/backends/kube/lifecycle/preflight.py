"""Checks before a `create` for faults that would stop it half-way: namespace, rights, quotas."""

from collections.abc import Sequence

from surreal.orchestrator.backends.kube.lifecycle import admission, quotas
from surreal.orchestrator.backends.kube.lifecycle import rbac as rights
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, AbsentError, ApiError, leaving, no_namespace
from surreal.provisioner.kube.kinds import Object

TRY_PODS = rights.Right("create", "", "pods")
"""The right to try pods before any is made."""


def check(api: Api, objects: Sequence[Object]) -> list[str]:
    """Would the cluster take these objects from this user? Changes nothing; returns what the person should know.

    Raises NoNamespaceError, or SurrealError that names all missing rights, all quotas that are too small, or all roles
    whose pods would be refused.
    """
    _check_namespace(api)
    queued = any(each["kind"] == "JobSet" for each in objects)
    missed = check_rights(api, queued)
    warnings = [f"without the rights {rights.listed(missed)} surreal cannot show all of the run"] if missed else []
    return warnings + check_room(api, objects, missed)


def check_rights(api: Api, queued: bool) -> list[rights.Right]:
    """Return the rights that the user lacks and that a run can do without. Raises SurrealError for all others."""
    needed = rights.rights({**rights.NEEDED, **(rights.QUEUED if queued else {})})
    missed = rights.missing(api, [*needed, *rights.rights(rights.HANDY)])
    if lacking := [right for right in missed if right in needed]:
        raise SurrealError(
            f"namespace {api.namespace}: missing rights: {rights.listed(lacking)}; nothing was made. "
            "Ask for them there, for example by a RoleBinding to the ClusterRole `edit`."
        )
    return missed


def check_room(api: Api, objects: Sequence[Object], missed: Sequence[rights.Right]) -> list[str]:
    """Ask quotas and admission, as `check` does, with the rights that `check_rights` did not find."""
    warnings = _check_quotas(api, objects)
    return warnings if TRY_PODS in missed else warnings + _check_admission(api, objects)


def _check_namespace(api: Api) -> None:
    try:
        found = api.get("Namespace", api.namespace)
    except AbsentError:
        raise no_namespace(api.namespace, api.context) from None
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return  # who may not look at it may have all rights in it
    if found["metadata"].get("deletionTimestamp") or (found.get("status") or {}).get("phase") == "Terminating":
        raise leaving(api.namespace)


def _check_quotas(api: Api, objects: Sequence[Object]) -> list[str]:
    try:
        found = api.list("ResourceQuota")
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return []
    never, later = quotas.too_small(found, objects)
    if never:
        raise SurrealError(
            f"namespace {api.namespace}: the run does not fit: {'; '.join(never)}; nothing was made. "
            "Lower spec.roles.ROLE.replicas or resources, or have the quota raised."
        )
    return [f"{each}: some processes wait until others leave room" for each in later]


def _check_admission(api: Api, objects: Sequence[Object]) -> list[str]:
    verdict = admission.judge(api, objects)
    if verdict.refused:
        raise SurrealError(
            f"namespace {api.namespace} takes no such pods (nothing was made):\n" + "\n".join(verdict.refused)
        )
    return list(verdict.changed)
