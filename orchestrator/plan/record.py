"""Plan of what a run records: which roles do, and where that cannot work."""

from collections.abc import Iterator

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import RoleSpec
from surreal.orchestrator.plan.model import PlannedRecord

KEY = ("spec", "record")


def planned_record(experiment: Experiment, own_machine: bool) -> PlannedRecord | None:
    """Return how acting roles record, None where nothing is asked for.

    Raises InvalidInput where no role acts, and in a cluster without a folder that outlives a pod.
    """
    spec = experiment.spec.record
    if spec is None:
        return None
    roles = tuple(role.name for role in experiment.algorithm.roles if role.acts)
    if not roles:
        text = f"{experiment.spec.algorithm.name} has no role that acts: nothing can be recorded. Remove the key."
        raise experiment.source.invalid([(KEY, text)])
    if not own_machine and spec.folder is None:
        text = (
            f"is needed in a cluster. Name a folder of a volume of roles.{roles[0]}, such as /data/{experiment.name}."
        )
        raise experiment.source.invalid([((*KEY, "folder"), text)])
    return PlannedRecord(folder=spec.folder or "", every=spec.every, gigabytes=spec.gigabytes, roles=roles)


def record_notes(planned: PlannedRecord | None) -> Iterator[str]:
    """Yield what a run that records does."""
    if planned is not None:
        share = "all episodes" if planned.every == 1 else f"one of {planned.every} episodes"
        where = planned.folder or "datasets/ of the run folder"
        yield f"{share} of {', '.join(planned.roles)} are recorded in {where}, {planned.gigabytes:g} GB at most"


def record_warnings(experiment: Experiment, planned: PlannedRecord | None, own_machine: bool) -> Iterator[str]:
    """Yield a warning for each role in a cluster whose volumes do not hold the folder."""
    for name in planned.roles if planned is not None and not own_machine else ():
        if planned is not None and not _mounted(experiment.spec.roles[name], planned.folder):
            yield (
                f"spec.record.folder: {planned.folder} is on no volume that {name} may write: where it is no shared "
                "folder of the machines, its files go with the pod"
            )


def _mounted(spec: RoleSpec, folder: str) -> bool:
    """Return True where a volume that can be written holds the folder."""
    return any(
        f"{folder}/".startswith(f"{volume.mount_path.rstrip('/')}/") and not volume.read_only for volume in spec.volumes
    )
