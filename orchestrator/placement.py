"""Experiment + pools -> Plan: which pool each role runs on, and whether a machine of it can hold one process."""

from collections.abc import Iterator, Sequence

from surreal.algorithms.catalog import algorithm
from surreal.orchestrator.experiment import ChannelSpec, Experiment, RoleSpec
from surreal.orchestrator.plan import Checkpoints, Plan, PlannedChannel, PlannedRole, Resources
from surreal.orchestrator.relays import with_relays
from surreal.protocol.graph import Channel, Role
from surreal.protocol.nearest import did_you_mean
from surreal.provisioner.documents.quantity import format_memory
from surreal.provisioner.documents.source import KeyPath, Problem
from surreal.provisioner.pools import NodePool


def make_plan(experiment: Experiment, pools: Sequence[NodePool]) -> Plan:
    """Place every role on one of `pools` (at least one). A pure function: equal arguments, equal Plan.

    Raises InvalidInput, at the lines of the experiment, for a pool that is not there and for a process that asks for
    more than one machine of its pool has. Asking for more than all of them have is a warning only: a machine can be
    oversubscribed.
    """
    spec = experiment.spec
    relays = {name: channel.relays for name, channel in spec.channels.items()}
    described = with_relays(algorithm(spec.algorithm.name), relays)
    chosen = {name: _choose_pool(role, pools) for name, role in spec.roles.items()}
    problems = [problem for name, role in spec.roles.items() for problem in _misfits(name, role, chosen[name], pools)]
    if problems:
        raise experiment.source.invalid(problems)
    roles = tuple(_planned_role(role, spec.roles[role.name], chosen[role.name]) for role in described.roles)
    return Plan(
        name=experiment.metadata.name,
        algorithm=described.name,
        env=spec.env.model_dump(mode="json"),
        config=spec.algorithm.config,
        seed=spec.seed,
        checkpoints=Checkpoints(every_seconds=spec.checkpoints.every_seconds, keep=spec.checkpoints.keep),
        roles=roles,
        channels=tuple(_planned_channel(channel, spec.channels.get(channel.name)) for channel in described.channels),
        warnings=(*_elsewhere(spec.roles, chosen), *_oversubscribed(roles, pools)),
    )


def _choose_pool(role: RoleSpec, pools: Sequence[NodePool]) -> NodePool | None:
    """The pool of the role's name, else the first that can hold it, else the first; None for an unknown name.

    A machine of one's own is one pool whatever the file calls it, so that the same file runs there and on a cluster.
    """
    if role.pool is not None and all(pool.provider != "local" for pool in pools):
        return next((pool for pool in pools if pool.name == role.pool), None)
    return next((pool for pool in pools if not list(_shortages(role, pool))), pools[0])


def _misfits(name: str, role: RoleSpec, pool: NodePool | None, pools: Sequence[NodePool]) -> Iterator[Problem]:
    path: KeyPath = ("spec", "roles", name)
    if pool is None:
        names = [pool.name for pool in pools]
        near = did_you_mean(str(role.pool), names)
        yield (*path, "pool"), f"unknown pool {role.pool!r}{near}; there is: {', '.join(names)}"
        return
    for key, text in _shortages(role, pool):
        yield (*path, "resources", key), text


def _shortages(role: RoleSpec, pool: NodePool) -> Iterator[tuple[str, str]]:
    """What one process asks for and no machine of the pool has: the key and a sentence."""
    asked, machine = role.resources, f"a machine of pool {pool.name!r}"
    if asked.cpu > pool.cpu:
        yield "cpu", f"must be {pool.cpu:g} or less, which is what {machine} has, not {asked.cpu:g}"
    if asked.memory > pool.memory:
        asks = format_memory(asked.memory)
        yield "memory", f"must be {pool.memory / 2**30:.1f}Gi or less, which is what {machine} has, not {asks}"
    if asked.gpu > pool.gpus:
        yield "gpu", f"must be {pool.gpus} or less, which is what {machine} has, not {asked.gpu}"


def _planned_role(role: Role, spec: RoleSpec, pool: NodePool | None) -> PlannedRole:
    assert pool is not None, "misfits are refused before"
    asked = spec.resources
    return PlannedRole(
        name=role.name,
        run=role.run,
        replicas=spec.replicas,
        resources=Resources(cpu=asked.cpu, memory=asked.memory, gpu=asked.gpu),
        pool=pool.name,
        spot=spec.spot,
        expendable=role.expendable,
        ends_run=role.ends_run,
        env=spec.env,
    )


def _planned_channel(channel: Channel, spec: ChannelSpec | None) -> PlannedChannel:
    return PlannedChannel(
        name=channel.name,
        kind=channel.kind,
        frm=channel.frm,
        to=channel.to,
        binds=channel.binds,
        window=channel.window,
        lossy=channel.lossy,
        relays=spec.relays if spec else 0,
        dtype=spec.dtype if spec else None,
    )


def _elsewhere(roles: dict[str, RoleSpec], chosen: dict[str, NodePool | None]) -> Iterator[str]:
    """Roles whose pool is not the one the file names."""
    for name, role in roles.items():
        pool = chosen[name]
        if role.pool is not None and pool is not None and pool.name != role.pool:
            yield f"{name} runs on pool {pool.name!r}: there is no pool {role.pool!r} on this machine"


def _oversubscribed(roles: Sequence[PlannedRole], pools: Sequence[NodePool]) -> Iterator[str]:
    """Pools whose roles together ask for more than all its machines have."""
    for pool in pools:
        here = [role for role in roles if role.pool == pool.name]
        cpu = sum(role.replicas * role.resources.cpu for role in here)
        memory = sum(role.replicas * role.resources.memory for role in here) / 2**30
        gpus = sum(role.replicas * role.resources.gpu for role in here)
        all_cpu, all_memory, all_gpus = pool.nodes * pool.cpu, pool.nodes * pool.memory / 2**30, pool.nodes * pool.gpus
        asks = f"together the processes on pool {pool.name!r} ask for"
        if cpu > all_cpu:
            yield f"{asks} {cpu:g} CPUs, it has {all_cpu:g}: they take turns"
        if memory > all_memory:
            yield f"{asks} {memory:.1f}Gi memory, it has {all_memory:.1f}Gi: they may run out of it"
        if gpus > all_gpus:
            yield f"{asks} {gpus} GPUs, it has {all_gpus}: they share"
