"""Runs whose Experiment goes, or is not there: what is ended, and what may keep an Experiment."""

from surreal.orchestrator.backends.kube.lifecycle.delete import end_leftovers
from surreal.orchestrator.backends.kube.names import EXPERIMENT, RUN
from surreal.orchestrator.backends.kube.status import collect
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, rows, text


def held_by(resource: Object) -> str:
    """Return why an Experiment that is being removed is still there; "" where nothing of others holds it.

    Kubernetes' own finalizer of a deletion in the foreground goes by itself.
    """
    held = [each for each in dig(resource, "metadata", "finalizers") or () if each != "foregroundDeletion"]
    return f"it is being removed, and finalizer {', '.join(held)}, which is not surreal's, holds it" if held else ""


def end_held(api: Api, seen: Snapshot) -> None:
    """End the run of an Experiment that something else keeps: Jobs first, so that no pod is made anew."""
    if seen.jobset:
        api.delete("JobSet", seen.name)
    for each in seen.jobs:
        api.delete("Job", name_of(each))
    api.delete("ConfigMap", seen.name)
    if seen.claim:
        api.delete("PersistentVolumeClaim", seen.name)


def end_rest(api: Api, seen: Snapshot, run: str) -> list[str]:
    """End the Jobs of a run whose root was removed by hand, and return their names.

    They would go on for ever: all that they talk to went with the root.
    """
    here = [job for job in seen.jobs if text(job, "metadata", "labels", RUN) == run]
    left = [job for job in here if not dig(job, "metadata", "deletionTimestamp")]
    if any(owner.get("kind") == "JobSet" for job in left for owner in rows(job, "metadata", "ownerReferences")):
        api.delete("JobSet", seen.name)
    return [name_of(job) for job in left if api.delete("Job", name_of(job))]


def tidy_foreign(api: Api, seen: Snapshot | None) -> None:
    """End what outlives a run of the command line, and note its outcome."""
    if not seen or not seen.root or text(seen.root, "metadata", "annotations", EXPERIMENT):
        return
    end_leftovers(api, seen)
    collect.keep_outcome(api, seen, status_of(seen))
