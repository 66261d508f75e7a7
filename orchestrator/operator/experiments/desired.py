"""The wish of an Experiment: the experiment that its spec means, and the plan of its run.

No code of a person is imported here: an operator has rights that a person's code must not use.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

from surreal.algorithms.registry import algorithms
from surreal.orchestrator.backends.kube.lifecycle.storage import resolve_storage
from surreal.orchestrator.backends.kube.names import query, selector
from surreal.orchestrator.experiment.complete import of_its_time
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.operator.crd.definitions import RUN_KEYS
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.plan.model import Plan
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, number, text
from surreal.provisioner.pools.model import NodePool

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation with the file as kubectl apply read it."""
ACTING = ("actor", "worker")
"""Roles that `spec.replicas` means: the first that the algorithm has."""
NO_FOLDER = Path("/nonexistent")
"""Folder of a person's own modules: an operator has none."""
DIGEST_DIGITS = 16
MOST_KEYS = 5
"""Keys that a sentence names."""
Keys = tuple[str, ...]
"""Place of a key in a file: a name may have dots."""
_NO_FILE = "Experiment"


def experiment_of(resource: Object) -> Experiment:
    """Return the checked experiment of a resource. Raises InvalidInput that names every problem by its key."""
    spec = _spec(resource)
    name = dig(spec, "algorithm", "name")
    if isinstance(name, str) and ":" in name:
        raise InvalidInput(
            f"spec.algorithm.name: {name!r} is code of your own, which the operator does not run. "
            "Start it with surreal create --on kube."
        )
    if replicas := number(resource, "spec", "replicas"):
        spec = _scaled(spec, acting_role(spec), replicas)
    labels = {key: value for key, value in (dig(resource, "metadata", "labels") or {}).items() if "/" not in key}
    data = {
        "apiVersion": resource["apiVersion"],
        "kind": "Experiment",
        "metadata": {"name": name_of(resource), "labels": labels},
        "spec": spec,
    }
    try:
        return Experiment.from_data(data, Source(_NO_FILE), NO_FOLDER)
    except InvalidInput as error:
        # No file has lines here.
        raise InvalidInput(str(error).replace(f"{_NO_FILE}:1: ", "")) from None


def plan_of(api: Api, experiment: Experiment, pools: Sequence[NodePool]) -> Plan:
    """Return the plan of an experiment on these pools. Raises InvalidInput at the keys that do not fit."""
    return resolve_storage(make_plan(experiment, pools), api)


def rescaled(plan: Plan, experiment: Experiment) -> Plan:
    """Return a recorded plan with the replicas and the TTL of an experiment."""
    wanted = experiment.spec.roles
    roles = tuple(
        role.model_copy(update={"replicas": wanted[role.name].most, "least": wanted[role.name].least})
        for role in plan.roles
    )
    return plan.model_copy(update={"roles": roles, "ttl_seconds": experiment.spec.ttl_seconds_after_finished})


def differences(recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[Keys]:
    """Return the keys in which two complete files differ, but for replicas of roles: `spec`, `env`, `id`."""
    return sorted(_differing(recorded, wanted, ()))


def in_words(keys: Iterable[Keys]) -> str:
    """Return the first few keys as a sentence names them: `spec.env.id, spec.seed`."""
    return ", ".join(".".join(path) for path in islice(keys, MOST_KEYS))


def says(resource: Object, key: Keys, wanted: Mapping[str, Any]) -> bool:
    """Return True if an Experiment says a key itself: others of the complete file `wanted` are this version's defaults.

    A short form says all that it stands for, such as `network: module:make`.
    """
    at: Any = {"metadata": resource["metadata"], "spec": _spec(resource)}
    whole: Any = wanted
    for part in key:
        if not isinstance(at, Mapping):
            return at is not None
        if part not in at:
            return isinstance(whole, Mapping) and not at.keys() <= whole.keys()
        at, whole = at[part], whole.get(part) if isinstance(whole, Mapping) else None
    return True


def as_read_now(recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the file of a run, which an older version may have completed, with the keys that came since.

    A file that this version refuses is returned as it is.
    """
    try:
        return Experiment.from_data(of_its_time(recorded, NO_FOLDER), Source(_NO_FILE), NO_FOLDER).to_data()
    except InvalidInput:
        return recorded


def digest(resource: Object) -> str:
    """Return a hash of what the spec says of the run itself: not of whether it is suspended."""
    said = {key: value for key, value in (resource.get("spec") or {}).items() if key != "suspend"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]


def acting_role(spec: Mapping[str, Any]) -> str:
    """Return the role that `spec.replicas` means; "" where the algorithm has none of that kind."""
    found = algorithms().get(str(dig(spec, "algorithm", "name")))
    roles = [role.name for role in found.arranged(dig(spec, "algorithm", "config")).roles] if found else []
    return next((name for name in ACTING if name in roles), "")


def pods_query(resource: Object) -> str:
    """Return the labels of the pods that `spec.replicas` counts, for an HPA; "" where there is no such role."""
    role = acting_role(resource.get("spec") or {})
    return query(selector(name_of(resource), role)) if role else ""


def unknown_keys(resource: Object) -> list[str]:
    """Return the keys of the applied file that the server has dropped: clients may ask it not to refuse them."""
    applied = _applied(resource)
    live = {**(resource.get("spec") or {})}
    return sorted(f"spec.{'.'.join(path)}" for path in _dropped(dig(applied, "spec"), live, ()))


def _spec(resource: Object) -> dict[str, Any]:
    """Return the spec as a file would say it."""
    spec = deepcopy({key: value for key, value in (resource.get("spec") or {}).items() if key not in RUN_KEYS})
    applied = _applied(resource).get("spec")
    for path in (("env", "options"), ("env", "evaluation", "options"), ("algorithm", "config")):
        _restore_nulls(dig(applied, *path), dig(spec, *path))
    return spec


def _applied(resource: Object) -> dict[str, Any]:
    try:
        found = json.loads(text(resource, "metadata", "annotations", APPLIED) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _restore_nulls(said: Any, live: Any) -> None:
    """Put back each null of the file: kubectl apply leaves out keys whose value is null, where null means something."""
    if isinstance(said, dict) and isinstance(live, dict):
        for key, value in said.items():
            if value is None:
                live.setdefault(key, None)
            else:
                _restore_nulls(value, live.get(key))


def _scaled(spec: dict[str, Any], role: str, replicas: int) -> dict[str, Any]:
    if not role:
        raise InvalidInput(f"spec.replicas: {replicas} is for an algorithm with a role that acts. Leave it out.")
    roles = dict(spec.get("roles") or {})
    roles[role] = {**(roles.get(role) or {}), "replicas": replicas}
    return {**spec, "roles": roles}


def _differing(old: Any, new: Any, path: Keys) -> Iterator[Keys]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {*old, *new}:
            yield from _differing(old.get(key), new.get(key), (*path, str(key)))
    elif old != new and not (path[:2] == ("spec", "roles") and path[3:4] == ("replicas",)):
        yield path


def _dropped(said: Any, live: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(said, dict) and isinstance(live, dict):
        for key, value in said.items():
            if value is not None and key not in live:
                yield (*path, key)
            else:
                yield from _dropped(value, live.get(key), (*path, key))
