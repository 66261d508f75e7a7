"""Edits of the spec of a run that is there: replicas of roles and the TTL change, all else is refused.

What the spec leaves out is no edit. The run keeps what it began with, also where a newer version has other defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.operator.experiments import desired
from surreal.orchestrator.operator.experiments.begin import recorded_of
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object

TTL = ("spec", "ttlSecondsAfterFinished")


@dataclass(frozen=True)
class Edit:
    """Difference between a run and the spec of its Experiment."""

    wanted: Experiment
    replicas: Mapping[str, tuple[object, object]]
    """Role -> replicas of the run and those of the spec, where they differ."""
    ttl: bool
    """True if the TTL differs."""
    kept: tuple[desired.Keys, ...]
    """Keys that the spec leaves out and in which the run differs from the defaults of this version."""
    file: str
    """Complete file of the run with what is new."""

    @property
    def said(self) -> str:
        """New numbers of processes, as a sentence for an event."""
        changed = ", ".join(f"{role} {before} -> {after}" for role, (before, after) in self.replicas.items())
        return f"{changed}, from a checkpoint made now"


def edit_of(resource: Object, seen: Snapshot) -> Edit:
    """Return how the spec differs from the run. Raises InvalidInput for a difference that a run cannot follow."""
    wanted = desired.experiment_of(resource)
    _, recorded = recorded_of(seen)
    theirs, _ = strictyaml.load(recorded, Source(seen.name))
    asked = wanted.to_data()
    differ = desired.differences(desired.as_read_now(theirs), asked)
    said = [key for key in differ if desired.says(resource, key, asked)]
    if other := [key for key in said if key != TTL]:
        raise InvalidInput(
            f"{desired.in_words(other)}: does not change in a run, which goes on as it was. Apply it under another "
            "name, or delete the experiment first."
        )
    before, after = _replicas(theirs), _replicas(asked)
    changed = {name: (before.get(name), count) for name, count in after.items() if before.get(name) != count}
    kept = tuple(key for key in differ if key not in said)
    return Edit(wanted, changed, TTL in said, kept, _edited(theirs, asked, TTL in said))


def _edited(theirs: Mapping[str, Any], asked: Mapping[str, Any], ttl: bool) -> str:
    """Return the file of a run with the replicas that are asked for, and the TTL if it is."""
    spec, counts = dict(theirs["spec"]), _replicas(asked)
    spec["roles"] = {
        name: {**role, "replicas": counts.get(name, role["replicas"])} for name, role in spec["roles"].items()
    }
    if ttl:
        spec["ttlSecondsAfterFinished"] = asked["spec"]["ttlSecondsAfterFinished"]
    return strictyaml.dump({**theirs, "spec": spec})


def _replicas(file: Mapping[str, Any]) -> dict[str, object]:
    """Return role -> replicas of a complete file: a number, or bounds."""
    return {name: role["replicas"] for name, role in file["spec"]["roles"].items()}
