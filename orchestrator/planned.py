"""Parts of a Plan from parts of an Experiment, one to one; `placement.make_plan` decides the rest."""

from surreal.orchestrator.experiment import ExperimentSpec, RoleSpec
from surreal.orchestrator.fleet import Place
from surreal.orchestrator.image import default_image
from surreal.orchestrator.plan import PlannedRole, PlannedStorage, PlannedVolume, Resources
from surreal.orchestrator.pods import StorageSpec, VolumeSpec
from surreal.protocol.graph import Role


def planned_role(role: Role, spec: RoleSpec, whole: ExperimentSpec, place: Place) -> PlannedRole:
    """One role of the plan; what it does not say of its pods, the whole experiment says."""
    asked = spec.resources
    return PlannedRole(
        name=role.name,
        run=role.run,
        replicas=spec.replicas,
        resources=Resources(cpu=asked.cpu, memory=asked.memory, gpu=asked.gpu),
        pool=place.pool,
        fallback=place.fallback,
        spot=place.spot,
        selectors=place.selectors,
        tolerations=place.tolerations,
        expendable=role.expendable,
        ends_run=role.ends_run,
        env=spec.env,
        image=spec.image or whole.image or default_image(),
        image_pull_policy=spec.image_pull_policy or whole.image_pull_policy,
        priority_class=spec.priority_class_name or "",
        spread=spec.spread,
        volumes=tuple(_planned_volume(volume) for volume in spec.volumes),
    )


def planned_storage(spec: StorageSpec) -> PlannedStorage:
    """Where a cluster keeps the run folder; `auto` until it has been asked what it has."""
    notes = {
        "auto": "a claim where the cluster has a default StorageClass; else it goes with the pod that ends the run"
    }
    return PlannedStorage(
        kind=spec.kind,
        size=spec.size,
        class_name=spec.class_name or "",
        url=spec.url or "",
        service_account=spec.service_account_name or "",
        note=notes.get(spec.kind, ""),
    )


def _planned_volume(spec: VolumeSpec) -> PlannedVolume:
    kinds = {"claim": spec.claim, "configMap": spec.config_map, "secret": spec.secret}
    kind, source = next((kind, source) for kind, source in kinds.items() if source)
    return PlannedVolume.model_validate(
        {
            "name": spec.name,
            "mountPath": spec.mount_path,
            "kind": kind,
            "source": source,
            "readOnly": spec.read_only,
        }
    )
