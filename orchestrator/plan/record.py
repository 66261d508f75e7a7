"""Plan of what a run records: which roles do, and where that cannot work."""

from collections.abc import Iterator
from typing import NamedTuple

from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import RoleSpec
from surreal.orchestrator.experiment.output_model import RecordSpec
from surreal.orchestrator.plan.model import PlannedRecord

KEY = ("spec", "record")


class Recording(NamedTuple):
    """Recording of a run in its plan; without values it records nothing."""

    planned: PlannedRecord | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def recording(experiment: Experiment, spec: RecordSpec, own_machine: bool) -> Recording:
    """Return how acting roles record.

    Raises InvalidInput where no role acts, and in a cluster without a folder that outlives a pod.
    """
    roles = tuple(role.name for role in experiment.algorithm.roles if role.acts)
    if not roles:
        text = f"{experiment.spec.algorithm.name} has no role that acts: nothing can be recorded. Remove the key."
        raise experiment.source.invalid([(KEY, text)])
    if not own_machine and spec.folder is None:
        text = (
            f"is needed in a cluster. Name a folder of a volume of roles.{roles[0]}, such as /data/{experiment.name}."
        )
        raise experiment.source.invalid([((*KEY, "folder"), text)])
    planned = PlannedRecord(folder=spec.folder or "", every=spec.every, gigabytes=spec.gigabytes, roles=roles)
    warnings = () if own_machine else tuple(_unmounted(experiment, planned))
    return Recording(planned, (_note(planned),), warnings)


def _note(planned: PlannedRecord) -> str:
    """Return the sentence on what a run that records does."""
    share = "all episodes" if planned.every == 1 else f"one of {planned.every} episodes"
    where = planned.folder or "datasets/ of the run folder"
    return f"{share} of {', '.join(planned.roles)} are recorded in {where}, {planned.gigabytes:g} GB at most"


def _unmounted(experiment: Experiment, planned: PlannedRecord) -> Iterator[str]:
    """Yield a warning for each role in a cluster whose volumes do not hold the folder."""
    for name in planned.roles:
        if not _mounted(experiment.spec.roles[name], planned.folder):
            yield (
                f"spec.record.folder: {planned.folder} is on no volume that {name} may write: where it is no shared "
                "folder of the machines, its files go with the pod"
            )


def _mounted(spec: RoleSpec, folder: str) -> bool:
    """Return True where a volume that can be written holds the folder."""
    return any(
        f"{folder}/".startswith(f"{volume.mount_path.rstrip('/')}/") and not volume.read_only for volume in spec.volumes
    )
