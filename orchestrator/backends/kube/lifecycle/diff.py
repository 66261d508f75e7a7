"""The difference between a file and its run in the cluster, by a server-side dry run, which fills in defaults."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from surreal.orchestrator.backends.kube.lifecycle.delete import HELD
from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    CREATED,
    OUTCOME,
    PLAN_KEY,
    RUN,
    STOPPED,
    USER,
    ZERO_RUN_ID,
    query,
    selector,
)
from surreal.protocol.documents import yaml as strictyaml
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import UNPROCESSABLE, AbsentError, ApiError
from surreal.provisioner.kube.kinds import Object

Change = Literal["added", "changed", "recreated", "removed"]
"""recreated: the field is immutable, so the object must be made anew."""

BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "ownerReferences")
"""Metadata that says nothing of what the object does."""
OF_THE_RUN = (CREATED, STOPPED, OUTCOME, USER)
"""Annotations that tell of one run and not of its plan."""

OF_THE_MOMENT = ("pools", "cost", "warnings")
"""Parts of a plan that tell how full the cluster was, which is another thing every minute."""


@dataclass(frozen=True)
class Difference:
    """One object that is not as the experiment file says."""

    kind: str
    name: str
    change: Change
    live: Object | None
    """The object in the cluster, without fields that only the server sets; None if it is not there."""
    wanted: Object | None
    """The object that `create` would make."""
    note: str = ""
    """The reason why the server refuses the change."""

    def text(self) -> str:
        """Return a unified diff."""
        where = f"{self.kind}/{self.name}"
        old, new = (_lines(each) for each in (self.live, self.wanted))
        begin, end = (f"live/{where}" if self.live else "/dev/null", f"file/{where}" if self.wanted else "/dev/null")
        return "".join(difflib.unified_diff(old, new, begin, end))


def identity(api: Api, name: str) -> tuple[str, int, str]:
    """Run, attempt and user of the live experiment, to render with; placeholders where there is none."""
    root = api.find("ConfigMap", name)
    about = root["metadata"] if root else {}
    marks = about.get("annotations") or {}
    run = (about.get("labels") or {}).get(RUN)
    return run or ZERO_RUN_ID, int(marks.get(ATTEMPT) or 1), marks.get(USER, "")


def diff(api: Api, name: str, objects: Sequence[Object]) -> list[Difference]:
    """Compare the objects of an experiment with those in the cluster, in create's order. Changes nothing.

    `objects` are rendered with the run and attempt of the live root. Secrets are left out: keys are random.
    """
    drawn = [each for each in objects if each["kind"] != "Secret"]
    found = [_difference(api, each) for each in drawn]
    wanted = {(each["kind"], each["metadata"]["name"]) for each in drawn}
    return [each for each in found if each] + list(_removed(api, name, wanted))


def _difference(api: Api, wanted: Object) -> Difference | None:
    kind, name = wanted["kind"], wanted["metadata"]["name"]
    live = api.find(kind, name)
    if not live:
        return Difference(kind, name, "added", None, _shown(wanted))
    old = _shown(live)
    try:
        new = _shown(api.apply(kind, wanted, dry_run=True, force=True))
    except ApiError as error:
        if error.status != UNPROCESSABLE:
            raise
        return Difference(kind, name, "recreated", old, _shown(_overlaid(live, wanted)), str(error))
    return Difference(kind, name, "changed", old, new) if old != new else None


def _removed(api: Api, name: str, wanted: set[tuple[str, str]]) -> Iterable[Difference]:
    """Return the objects of the experiment that the file does not lead to any more."""
    for kind in HELD:
        if kind == "Pod":
            continue
        try:
            there = api.list(kind, query(selector(name)))
        except AbsentError:
            continue  # no JobSets in this cluster
        for each in there:
            owners = {owner["kind"] for owner in each["metadata"].get("ownerReferences") or ()}
            own = each["metadata"]["name"]
            if (kind, own) not in wanted and "JobSet" not in owners:
                yield Difference(kind, own, "removed", _shown(each), None)


def _shown(each: Object) -> Object:
    """Return an object without the fields that a person has no use for in a comparison."""
    about = {key: value for key, value in each["metadata"].items() if key not in BOOKKEEPING}
    marks = {key: value for key, value in (about.pop("annotations", None) or {}).items() if key not in OF_THE_RUN}
    whole = {key: value for key, value in each.items() if key != "status"}
    whole["metadata"] = {**about, **({"annotations": marks} if marks else {})}
    if each.get("data"):
        whole["data"] = {key: _readable(key, value) for key, value in each["data"].items()}
    if archives := each.get("binaryData"):
        whole["binaryData"] = {key: f"sha256 {_sha(value)}" for key, value in archives.items()}
    return whole


def _readable(key: str, text: str) -> Any:
    """Write a file of a ConfigMap so that a diff shows its lines."""
    if not key.endswith(".json"):
        return text.splitlines()
    try:
        document = json.loads(text)
    except ValueError:
        return text.splitlines()
    if key == PLAN_KEY and isinstance(document, dict):
        document = {part: value for part, value in document.items() if part not in OF_THE_MOMENT}
        document.get("storage", {}).pop("note", None)
    return document


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _overlaid(live: Any, wanted: Any) -> Any:
    """Return `live` with the fields of `wanted`: the server fills in no defaults of an object that it refuses."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {**live, **{key: _overlaid(live.get(key), value) for key, value in wanted.items()}}
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [_overlaid(one, other) for one, other in zip(live, wanted, strict=True)]
    return wanted


def _lines(each: Object | None) -> list[str]:
    return strictyaml.dump(each).splitlines(keepends=True) if each else []
