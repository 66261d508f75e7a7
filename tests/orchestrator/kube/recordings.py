"""What a real cluster (Kubernetes 1.36, one node) said of pods that fail in every way, recorded in `recorded/`.

A recording has the Jobs, pods, claim and events of the toy experiment of `tests.orchestrator.runs`, without the fields
that nobody reads. The root is made here. To add one, make a Job that fails so, save `kubectl get jobs,pods,pvc,events
-o json` as `items` beside the time as `taken`, leave out what the others leave out, and give it a row in test_explain.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from surreal.orchestrator.backends.kube.names import CREATED, ROOT, labels
from surreal.orchestrator.backends.kube.status.collect import read_events
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.plan.model import Plan, PlannedRole, PlannedStorage
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator import runs

FOLDER = Path(__file__).parent / "recorded"
GIB = 2**30
BEGUN = datetime(2026, 11, 21, 8, tzinfo=UTC)
"""When its root was made."""


def recorded() -> list[str]:
    """The names of all recordings."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def plan(actors: int = 2, cpu: float = 1.0, memory: int = GIB, gpu: int = 0, image: str = "") -> Plan:
    """The toy's plan with a claim, and with these resources in all roles."""
    toy = runs.plan()
    resources = {"cpu": cpu, "memory": memory, "gpu": gpu}

    def role(each: PlannedRole) -> PlannedRole:
        replicas = actors if each.name == "actor" else each.replicas
        change = {"resources": resources, "replicas": replicas, "pool": "gpus", "image": image}
        return PlannedRole.model_validate({**each.model_dump(), **change})

    storage = PlannedStorage(kind="claim", size=10 * GIB)
    return toy.model_copy(update={"roles": tuple(map(role, toy.roles)), "storage": storage})


USUAL = plan()


def root(planned: Plan, created: str = "2026-11-21T08:00:00+00:00") -> Object:
    """The root of an experiment that is all there."""
    return {
        "kind": "ConfigMap",
        "metadata": {
            "name": planned.name,
            "labels": {**labels(planned.name, "0a1b2c3d"), ROOT: "true"},
            "annotations": {CREATED: created} if created else {},
            "creationTimestamp": BEGUN.isoformat(),
        },
        "data": {"plan.json": planned.to_json()},
    }


def snapshot(case: str, planned: Plan | None = None, **changes: Any) -> Snapshot:
    """A recording as a Snapshot."""
    said = json.loads((FOLDER / f"{case}.json").read_text())
    planned = planned or USUAL

    def items(kind: str) -> tuple[Object, ...]:
        return tuple(each for each in said["items"] if each["kind"] == kind)

    given = {
        "name": "toy",
        "namespace": "rl",
        "taken": datetime.fromisoformat(said["taken"]),
        "root": root(planned),
        "plan": planned,
        "jobs": items("Job"),
        "pods": items("Pod"),
        "claim": next(iter(items("PersistentVolumeClaim")), None),
        "events": read_events(items("Event")),
    }
    return Snapshot(**{**given, **changes})
