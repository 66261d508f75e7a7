"""Faults between surreal and an API server, as errors that a person understands."""

import re
from collections.abc import Mapping
from typing import Any, Self

from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from surreal.provisioner.kube.kinds import Object

UNAUTHORIZED, FORBIDDEN, ABSENT, CONFLICT, GONE, UNPROCESSABLE, TOO_MANY = 401, 403, 404, 409, 410, 422, 429
"""HTTP statuses."""
QUOTED = 100
"""Characters at the beginning and the end of a long message that are shown."""


class ApiError(SurrealError):
    """The API server refused a request or gave no answer."""

    def __init__(self, text: str, status: int = 0, body: Object | None = None) -> None:
        super().__init__(text)
        self.status = status
        """HTTP status; 0 when there was no answer."""
        self.body: Object = body or {}
        """The Status object that the server sent."""

    @property
    def reason(self) -> str:
        """`AlreadyExists`, `Conflict`, `Forbidden`...; empty where the server gave none."""
        return str(self.body.get("reason") or "")

    @property
    def lasting(self) -> bool:
        """Will the same request be refused again? False where the server was overloaded, gone or did not know us."""
        return self.status not in (0, UNAUTHORIZED, TOO_MANY) and self.status < 500

    def plus(self, text: str) -> Self:
        """Return the same error with more text."""
        self.args = (f"{self}; {text}",)
        return self


class AbsentError(ApiError, NotFound):
    """There is no such object (or no such kind of objects)."""


class NoNamespaceError(ApiError, InvalidInput):
    """The namespace is not there, or is going away."""


class TakenError(ApiError, InvalidInput):
    """There is an object of that name already."""


def no_namespace(namespace: str, context: str) -> NoNamespaceError:
    """Return the error for a namespace that does not exist."""
    text = f"namespace {namespace} does not exist in context {context}: kubectl create ns {namespace}"
    return NoNamespaceError(text, ABSENT)


def leaving(namespace: str) -> NoNamespaceError:
    """Return the error for a namespace that is being removed."""
    text = f"namespace {namespace} is being removed and takes nothing new: wait until it is gone, or choose another"
    return NoNamespaceError(text, FORBIDDEN)


def refusal(status: int, body: Any, what: str, namespace: str, context: str) -> ApiError:
    """Return the error for an answer of status 400 and more to `what`, such as `create Job ppo-learner`."""
    known: Object = body if isinstance(body, dict) else {}
    words = str(known.get("message") or body or f"HTTP {status}").strip()[:2000]
    details: Mapping[str, Any] = known.get("details") or {}
    causes = [each for each in details.get("causes") or () if isinstance(each, dict)]
    if status == UNAUTHORIZED or "system:anonymous" in words:
        text = (
            f"the API server does not accept the credentials of context {context} ({words}): log in again; "
            "runs in the cluster are not affected"
        )
        return ApiError(text, UNAUTHORIZED, known)
    if (
        status == ABSENT
        and details.get("kind") == "namespaces"
        and not what.endswith(f"namespaces/{details.get('name')}")
    ):
        return no_namespace(namespace, context)
    if any(each.get("reason") == "NamespaceTerminating" for each in causes):
        return leaving(namespace)
    if status == CONFLICT and known.get("reason") == "AlreadyExists":
        return TakenError(words, status, known)
    if status == ABSENT:
        return AbsentError(
            words if known else f"the server of context {context} knows no way to {what} ({words})", status, known
        )
    return ApiError(_sentence(status, words, causes, what, namespace), status, known)


def _sentence(status: int, words: str, causes: list[dict[str, Any]], what: str, namespace: str) -> str:
    if status == FORBIDDEN and (quota := re.search(r"exceeded quota: (.+?), requested: (.*)", words)):
        return f"quota {quota[1]} of namespace {namespace} is too small to {what}: requested {quota[2]}"
    if status == FORBIDDEN and (right := re.search(r'User "(.*?)" cannot (\w+) resource "(.*?)"', words)):
        return f"missing right in namespace {namespace}: {right[2]} {right[3]} (user {right[1]})"
    if status == CONFLICT and any(each.get("reason") == "FieldManagerConflict" for each in causes):
        fields = ", ".join(str(each.get("field")) for each in causes)
        return f"cannot {what}: another client has set {fields} ({words})"
    if status == CONFLICT:
        return f"cannot {what}: another client keeps changing the same object or its quota ({words})"
    if status == UNPROCESSABLE and causes:
        fields = "; ".join(f"{each.get('field', '?')}: {_cut(str(each.get('message', '')))}" for each in causes)
        return f"the API server rejects the request to {what}: {fields}"
    return f"the API server refuses to {what}: {words}"


def _cut(message: str) -> str:
    """Return a message without the middle of the value that it quotes, which may be a whole pod."""
    return message if len(message) <= 2 * QUOTED else f"{message[:QUOTED]} ... {message[-QUOTED:]}"
