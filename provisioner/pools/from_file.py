"""The pools of a cluster file, before any of their machines is there."""

from collections.abc import Iterator
from dataclasses import replace

from surreal.protocol.documents.locations import KeyPath, Problem
from surreal.provisioner.machine_names import architecture, unusable
from surreal.provisioner.machine_types import Machine, MachineTable
from surreal.provisioner.pools import labels
from surreal.provisioner.pools.model import NodePool
from surreal.provisioner.pools.node import LINUX
from surreal.provisioner.pools.reserved import usable
from surreal.provisioner.spec.cluster import Cluster, PoolSpec


def declared_pools(cluster: Cluster, table: MachineTable) -> tuple[tuple[NodePool, ...], tuple[str, ...]]:
    """Return the pools of `cluster`, none of which has a node yet, and warnings.

    Raises InvalidInput, at the lines of the file, for GPUs on machines that have none, a machine type that the table
    does not know and whose resources are not given, and machines too small for what the platform itself needs.
    """
    found: list[NodePool] = []
    problems: list[Problem] = []
    warnings: list[str] = []
    for index, spec in enumerate(cluster.spec.pools):
        path: KeyPath = ("spec", "pools", index)
        try:
            machine = pool_machine(cluster, spec, table)
        except ValueError as error:
            key = "accelerator" if spec.accelerator else "machine" if spec.machine else "resources"
            problems.append(((*path, key), str(error)))
            continue
        pool = _pool(cluster, spec, machine, table)
        if not pool.cpu or not pool.memory:
            problems.append((path, f"{machine.name} is too small: the system of {pool.provider} needs all it has"))
        found.append(pool)
        warnings += [f"pool {spec.name!r}: {text}" for text in _warnings(cluster, spec, machine, table)]
    if problems:
        raise cluster.source.invalid(problems)
    return tuple(found), tuple(warnings)


def pool_machine(cluster: Cluster, spec: PoolSpec, table: MachineTable) -> Machine:
    """Return the machine of one pool of a cluster file, with its GPUs.

    `resources` of the file win over the table. Raises ValueError with a sentence where neither knows what the machine
    has, and for GPUs that it cannot have.
    """
    provider, given, gpus = cluster.spec.provider, spec.resources, spec.accelerator
    if spec.machine and (reason := unusable(provider, spec.machine)):
        raise ValueError(
            f"{spec.machine!r} {reason}, which PyTorch here cannot use; take a machine without or with GPUs"
        )
    known = table.find(provider, spec.machine) if spec.machine else None
    if given is not None:
        named = spec.machine or "machine"
        unknown = Machine(named, 0, 0, arch=architecture(provider, named))
        machine = replace(known or unknown, cpu=given.cpu, memory=given.memory)
    elif known is not None:
        machine = known
    elif spec.machine is None:
        raise ValueError("give the size of one machine, for example resources: {cpu: 2, memory: 4Gi}")
    else:
        near = table.nearest(provider, spec.machine)
        raise ValueError(
            f"the table does not know {spec.machine!r}{near}; give its size, for example "
            "resources: {cpu: 8, memory: 32Gi}, or list it in prices.yaml"
        )
    if gpus is None:
        return machine
    if known is None:
        return replace(machine, gpus=gpus.count, gpu_type=gpus.type)
    return table.with_gpus(provider, machine, gpus.type, gpus.count)


def extra_taints(spec: PoolSpec) -> tuple[labels.Taint, ...]:
    """Return the taints of the file as the labels table has them."""
    return tuple(labels.Taint(taint.key, taint.value, taint.effect) for taint in spec.taints)


def _pool(cluster: Cluster, spec: PoolSpec, machine: Machine, table: MachineTable) -> NodePool:
    platform = labels.platform_of(cluster.spec.provider, spec.autoprovision)
    cpu, memory = usable(platform, machine.cpu, machine.memory, machine.pods)
    price = machine.spot_price if spec.spot else machine.price
    pool = NodePool(
        name=spec.name,
        nodes=0,
        cpu=cpu,
        memory=memory,
        gpus=machine.gpus,
        gpu_type=machine.gpu_type,
        os=LINUX,
        arch=machine.arch,
        provider=platform,
        machine=spec.machine,
        min_nodes=spec.min,
        max_nodes=spec.max,
        spot=spec.spot,
        zones=spec.zones or cluster.spec.zones,
        region=cluster.spec.region,
        price=price,
        price_bound=machine.price if price is None else price,
        priced=table.priced(machine) if machine.price is not None else "",
        selector={
            **labels.selector(platform, spec.name, spec.spot),
            **labels.machine_selector(platform, spec.machine, machine.gpu_type),
        },
        taints=labels.node_taints(platform, spec.name, spec.spot, machine.gpus > 0, extra_taints(spec)),
    )
    return replace(pool, pods=machine.pods) if machine.pods else pool


def _warnings(cluster: Cluster, spec: PoolSpec, machine: Machine, table: MachineTable) -> Iterator[str]:
    provider, region = cluster.spec.provider, cluster.spec.region
    if spec.machine is None:
        return
    if table.find(provider, spec.machine) is None:
        near = table.nearest(provider, spec.machine)
        yield f"the table does not know {spec.machine!r}{near}: its resources are those of the file, its price unknown"
    if region is None:
        return
    if missing := table.not_offered(spec.machine, region):
        yield missing
    if machine.price is not None and (priced := table.region_of(machine)) != region:
        yield f"its price is that of {priced}; prices in {region} differ"
