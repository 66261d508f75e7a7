"""Edits of the spec of a run that is there: replicas of roles and the TTL change, all else is refused."""

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

TTL = "spec.ttlSecondsAfterFinished"


@dataclass(frozen=True)
class Edit:
    """Difference between a run and the spec of its Experiment."""

    wanted: Experiment
    replicas: Mapping[str, tuple[object, object]]
    """Role -> replicas of the run and those of the spec, where they differ."""
    ttl: bool
    """True if the TTL differs."""

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
    differ = desired.differences(theirs, asked)
    if other := [key for key in differ if key != TTL]:
        raise InvalidInput(
            f"{', '.join(other[:5])}: does not change in a run, which goes on as it was. Apply it under another "
            "name, or delete the experiment first."
        )
    before, after = _replicas(theirs), _replicas(asked)
    changed = {name: (before.get(name), count) for name, count in after.items() if before.get(name) != count}
    return Edit(wanted, changed, TTL in differ)


def _replicas(file: Mapping[str, Any]) -> dict[str, object]:
    """Return role -> replicas of a complete file: a number, or bounds."""
    return {name: role["replicas"] for name, role in file["spec"]["roles"].items()}
