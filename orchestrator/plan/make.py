"""Experiment + pools -> Plan: which pool each role runs on, and whether a machine of it can hold one process."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from surreal.algorithms.algorithm import Sizing
from surreal.algorithms.environments.batched.known import note, reason_against
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.model import (
    ChannelSpec,
    EnvSpec,
    ExperimentSpec,
    LimitsSpec,
    NotifySpec,
    RoleSpec,
)
from surreal.orchestrator.experiment.pod_model import PodsSpec, StorageSpec, VolumeSpec
from surreal.orchestrator.plan.assignment import Fleet, Place, fleet
from surreal.orchestrator.plan.cost import planned_cost
from surreal.orchestrator.plan.feasibility import on_one_machine
from surreal.orchestrator.plan.images import gpus_unused, named_for_gpus
from surreal.orchestrator.plan.model import (
    Checkpoints,
    Plan,
    PlannedChannel,
    PlannedCost,
    PlannedEgress,
    PlannedLimits,
    PlannedNotify,
    PlannedPods,
    PlannedPool,
    PlannedRole,
    PlannedStorage,
    PlannedVolume,
    Resources,
)
from surreal.orchestrator.plan.record import Recording, recording
from surreal.protocol.graph import Channel, Role
from surreal.provisioner.pools.model import NodePool

if TYPE_CHECKING:
    from surreal.orchestrator.experiment.inspection import Inspection


def make_plan(experiment: Experiment, pools: Sequence[NodePool], inspection: "Inspection | None" = None) -> Plan:
    """Place every role on one of `pools` (at least one). Equal arguments give an equal Plan.

    `inspection` is asked for its note last, since it may still go on.

    Raises InvalidInput, at the lines of the experiment, for a pool that is not there, for a process that asks for more
    than any machine has and, on a cluster, for more processes than its pools at their largest hold. On this machine,
    asking for more than it has is only a warning: it can be oversubscribed.
    """
    spec, algorithm = experiment.spec, experiment.algorithm
    own_machine = all(pool.is_own_machine for pool in pools)
    placed, size = _placed(experiment, pools, own_machine), sized(experiment, inspection)
    record = recording(experiment, spec.record, own_machine) if spec.record else Recording()
    return Plan(
        name=experiment.metadata.name,
        algorithm=spec.algorithm.name,
        env=experiment.env,
        config=spec.algorithm.config,
        seed=spec.seed,
        hang_seconds=spec.hang_seconds,
        checkpoints=Checkpoints(every_seconds=spec.checkpoints.every_seconds, keep=spec.checkpoints.keep),
        prometheus_port=spec.prometheus.port if spec.prometheus else None,
        track=spec.track.model_dump(mode="json", exclude_none=True),
        record=record.planned,
        limits=PlannedLimits(**spec.limits.model_dump()),
        notify=_planned_notify(spec.notify),
        image_pull_secrets=spec.image_pull_secrets,
        storage=PlannedStorage() if own_machine else planned_storage(spec.storage),
        labels=experiment.metadata.labels,
        pods=_planned_pods(spec.pods),
        code=spec.code or "",
        queue=spec.queue or "",
        ttl_seconds=spec.ttl_seconds_after_finished,
        egress=tuple(PlannedEgress(cidr=each.cidr, ports=each.ports) for each in spec.egress),
        roles=tuple(
            planned_role(role, spec.roles[role.name], spec, placed.places[role.name]) for role in algorithm.roles
        ),
        channels=tuple(_planned_channel(channel, spec.channels.get(channel.name)) for channel in _used(experiment)),
        pools=placed.pools,
        cost=None if own_machine else _cost(experiment, placed.pools),
        warnings=(*_warnings(experiment, own_machine, placed, size), *record.warnings),
        notes=(*_notes(experiment, size, own_machine), *record.notes),
    )


def _warnings(experiment: Experiment, own_machine: bool, placed: Fleet, size: Sizing) -> tuple[str, ...]:
    spec = experiment.spec
    of_place = _uncounted(spec.limits) if own_machine else gpus_unused(spec)
    return *placed.warnings, *of_place, *size.warnings


def _notes(experiment: Experiment, size: Sizing, own_machine: bool) -> tuple[str, ...]:
    spec = experiment.spec
    of_images = () if own_machine else named_for_gpus(experiment.algorithm.roles, spec)
    return *_wrapped(spec.env), *_stepped(experiment), *size.notes, *of_images


def _wrapped(env: EnvSpec) -> Iterator[str]:
    """Yield the note that names the wrappers of the environment, presets written out."""
    if env.wrappers:
        # gymnasium is slow to import, and most experiments have no wrappers
        from surreal.algorithms.environments.wrappers import expand, for_evaluation, said

        evaluated = env.evaluation.wrappers if env.evaluation.wrappers is not None else for_evaluation(env.wrappers)
        inside = f"the environment is wrapped in {said(expand(env.wrappers))}"
        yield f"{inside}; for an evaluation in {said(expand(evaluated)) or 'nothing'}"


def _stepped(experiment: Experiment) -> Iterator[str]:
    """Yield the note on how copies are stepped. Raises InvalidInput where `batched` is asked for and impossible."""
    env = experiment.spec.env
    reason = reason_against(env.id, env.wrappers, list(env.options))
    if experiment.spec.record is not None:
        reason = reason or "spec.record sees the steps of gymnasium alone"
    if env.stepping == "batched" and reason:
        text = f"'batched' is not possible: {reason}. Remove the key, or set auto."
        raise experiment.source.invalid([(("spec", "env", "stepping"), text)])
    yield from filter(None, (note(env.stepping, reason),))


def _cost(experiment: Experiment, pools: Sequence[PlannedPool]) -> PlannedCost:
    """Return the cost. Raises InvalidInput where a limit of it can never be counted."""
    cost = planned_cost(pools)
    if experiment.spec.limits.cost and cost.per_hour is None and cost.at_most_per_hour is None:
        text = f"cannot be counted: pool {', '.join(cost.unknown)} has no known price. Add it to prices.yaml."
        raise experiment.source.invalid([(("spec", "limits", "cost"), text)])
    return cost


def _planned_notify(spec: NotifySpec) -> PlannedNotify | None:
    if not (spec.command or spec.url):
        return None
    return PlannedNotify(command=spec.command, url=spec.url or "", no_progress_minutes=spec.no_progress_minutes)


def _uncounted(limits: LimitsSpec) -> tuple[str, ...]:
    """Return the warning that this machine has no price."""
    return ("spec.limits.cost ends no run here: this machine has no price",) if limits.cost else ()


def _placed(experiment: Experiment, pools: Sequence[NodePool], own_machine: bool) -> Fleet:
    """Return the places of all roles. Raises InvalidInput at the lines of those that have none."""
    spec, roles = experiment.spec, experiment.algorithm.roles
    if own_machine:
        problems, warnings = on_one_machine(roles, spec.roles, pools[0])
        placed = Fleet({role.name: Place(pools[0].name) for role in roles}, (), tuple(problems), tuple(warnings))
    else:
        images = {name: spec.image_of(role) for name, role in spec.roles.items()}
        placed = fleet(roles, spec.roles, pools, images)
    if placed.problems:
        raise experiment.source.invalid(placed.problems)
    return placed


def sized(experiment: Experiment, inspection: "Inspection | None" = None) -> Sizing:
    """Return what the algorithm says of its size. Raises InvalidInput at the keys that mean nothing together."""
    spec = experiment.spec
    replicas = {name: role.most for name, role in spec.roles.items()}
    note = inspection.note if inspection else ""
    more = {"network": note, "folder": str(experiment.code_folder)}
    size = experiment.algorithm.sized(experiment.config, replicas, {**spec.env.model_dump(mode="json"), **more})
    if size.problems:
        raise experiment.source.invalid((_path(key), text) for key, text in size.problems)
    return size


def _path(key: str | tuple[str, ...]) -> tuple[str, ...]:
    return ("spec", "algorithm", "config", key) if isinstance(key, str) else ("spec", *key)


def _planned_pods(pods: PodsSpec) -> PlannedPods:
    return PlannedPods(
        labels=pods.labels,
        annotations=pods.annotations,
        runtime_class=pods.runtime_class_name or "",
        scheduler=pods.scheduler_name or "",
        namespace_user=pods.security_context == "namespace",
        kueue_priority_class=pods.kueue_priority_class or "",
    )


def _used(experiment: Experiment) -> Iterator[Channel]:
    """Yield the channels of the algorithm but those from a role of one process to itself."""
    for channel in experiment.algorithm.channels:
        ends = {*channel.frm, *channel.to}
        if len(ends) > 1 or experiment.spec.roles[channel.binds].most > 1:
            yield channel


def _planned_channel(channel: Channel, spec: ChannelSpec | None) -> PlannedChannel:
    return PlannedChannel(**vars(channel), relays=spec.relays if spec else 0, dtype=spec.dtype if spec else None)


def planned_role(role: Role, spec: RoleSpec, whole: ExperimentSpec, place: Place) -> PlannedRole:
    """Return one role of the plan; the experiment gives the defaults of its pods."""
    asked = spec.resources
    return PlannedRole(
        name=role.name,
        run=role.entry_point,
        replicas=spec.most,
        least=spec.least,
        resources=Resources(
            cpu=asked.cpu,
            memory=asked.memory,
            gpu=asked.gpu,
            gpu_kind=asked.gpu_kind or "",
            gpu_resource=asked.gpu_resource,
        ),
        pool=place.pool,
        fallback=place.fallback,
        spot=place.spot,
        selectors=place.selectors,
        tolerations=place.tolerations,
        expendable=role.expendable,
        ends_run=role.ends_run,
        keeps_snapshots=role.keeps_snapshots,
        evaluates=role.evaluates,
        env=spec.env,
        image=whole.image_of(spec),
        image_pull_policy=spec.image_pull_policy or whole.image_pull_policy,
        priority_class=spec.priority_class_name or "",
        spread=spec.spread,
        volumes=tuple(_planned_volume(volume) for volume in spec.volumes),
    )


def planned_storage(spec: StorageSpec) -> PlannedStorage:
    """Return the place of the run folder in a cluster; `auto` until the cluster has been asked."""
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
