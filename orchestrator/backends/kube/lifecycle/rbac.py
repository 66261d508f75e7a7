"""Rights that surreal needs in a namespace, and a check for the missing ones."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import ApiError
from surreal.provisioner.kube.together import together


class Right(NamedTuple):
    """Right to do something with one kind of objects."""

    verb: str
    group: str
    resource: str
    """Plural, with a subresource such as `pods/log`."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


ALL = ("get", "list", "create", "patch", "delete")
NEEDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "configmaps"): ALL,
    ("", "secrets"): ("create", "delete"),
    ("", "serviceaccounts"): ALL,
    ("", "services"): ALL,
    ("", "persistentvolumeclaims"): ALL,
    ("networking.k8s.io", "networkpolicies"): ALL,
    ("batch", "jobs"): ALL,
    ("", "pods"): ("get", "list", "watch"),
}
"""(group, resource) -> verbs: to create, watch and delete experiments."""
QUEUED: Mapping[tuple[str, str], tuple[str, ...]] = {("jobset.x-k8s.io", "jobsets"): ALL}
"""Besides, for an experiment with a queue."""
OPERATED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("surreal.dev", "experiments"): (*ALL, "watch"),
    ("surreal.dev", "sweeps"): (*ALL, "watch"),
    ("surreal.dev", "experiments/scale"): ("get", "patch"),
}
"""Besides, for runs that an operator makes of Experiments and Sweeps."""
HANDY: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "events"): ("list",),
    ("", "pods"): ("create", "delete"),
    ("", "pods/log"): ("get",),
    # a websocket is a GET; newer servers ask for `create` too
    ("", "pods/exec"): ("get", "create"),
    ("", "pods/portforward"): ("get", "create"),
}
"""Rights to see why a role waits, read logs and metrics, and look into pods: experiments run without them."""


def rights(table: Mapping[tuple[str, str], Iterable[str]]) -> list[Right]:
    """Return every right of a table."""
    return [Right(verb, group, resource) for (group, resource), verbs in table.items() for verb in verbs]


def missing(api: Api, wanted: Iterable[Right]) -> list[Right]:
    """Return the rights that the user lacks in the namespace.

    One request is enough where the server lists all rights. A right that the list does not show costs one more.
    """
    rules = _rules(api)
    unsure = [right for right in wanted if not any(_grants(rule, right) for rule in rules)]
    allowed = together(lambda right: _asked(api, right), unsure)
    return [right for right, yes in zip(unsure, allowed, strict=True) if not yes]


def listed(missed: Iterable[Right]) -> str:
    """List rights as `create, patch jobs; get pods/log`."""
    verbs: dict[str, list[str]] = {}
    for right in missed:
        verbs.setdefault(right.resource, []).append(right.verb)
    return "; ".join(f"{', '.join(each)} {resource}" for resource, each in verbs.items())


def _rules(api: Api) -> list[dict[str, Any]]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": api.namespace},
    }
    try:
        found = api.post("SelfSubjectRulesReview", review)
    except ApiError as error:
        if not error.lasting:
            raise
        return []
    return list((found.get("status") or {}).get("resourceRules") or ())


def _grants(rule: dict[str, Any], right: Right) -> bool:
    def has(key: str, *values: str) -> bool:
        return any(value in (rule.get(key) or ()) for value in ("*", *values))

    _, _, sub = right.resource.partition("/")
    names = (right.resource, *((f"*/{sub}",) if sub else ()))
    of_some_only = bool(rule.get("resourceNames"))
    return has("verbs", right.verb) and has("apiGroups", right.group) and has("resources", *names) and not of_some_only


def _asked(api: Api, right: Right) -> bool:
    resource, _, sub = right.resource.partition("/")
    asked = {"namespace": api.namespace, "verb": right.verb, "group": right.group, "resource": resource}
    if sub:
        asked["subresource"] = sub
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return bool(api.post("SelfSubjectAccessReview", review)["status"]["allowed"])
