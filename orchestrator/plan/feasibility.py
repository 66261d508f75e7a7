"""The pools of a cluster on which a role may run, the best first, or why there is none; and all roles on one machine.

A pool must hold one process. Machines with accelerators are for roles that ask for them. Pools with taints of the
user's own, and machines that run the cluster itself, are for roles that name the pool. Windows machines are for none.
Expendable roles go to spot machines and fall back to others; the rest the other way round. Among equals the cheapest
per process is first.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from surreal.orchestrator.experiment.model import ResourcesSpec, RoleSpec
from surreal.protocol.documents.locations import Problem
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import did_you_mean
from surreal.protocol.graph import Role
from surreal.provisioner.kube.resources import GPU
from surreal.provisioner.pools import labels
from surreal.provisioner.pools.model import NodePool


@dataclass(frozen=True)
class Candidates:
    """Pools on which one role may run."""

    pools: tuple[NodePool, ...] = ()
    """In order of preference; empty when there are problems."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def on_one_machine(
    roles: Sequence[Role], specs: Mapping[str, RoleSpec], pool: NodePool
) -> tuple[list[Problem], list[str]]:
    """Return the problems and the warnings of all roles on one machine; names of other pools are warnings only."""
    asked = [(specs[role.name].most, specs[role.name].resources) for role in roles]
    elsewhere = [
        f"{name} runs on pool {pool.name!r}: this machine has no pool {spec.pool!r}"
        for name, spec in specs.items()
        if spec.pool not in (None, pool.name)
    ]
    problems: list[Problem] = [
        (("spec", "roles", role.name, "resources", key), text)
        for role in roles
        for key, text in shortages(specs[role.name], pool)
    ]
    return [*problems, *_overfilled(roles, specs, pool)], [*elsewhere, *_oversubscribed(asked, pool)]


def _overfilled(roles: Sequence[Role], specs: Mapping[str, RoleSpec], pool: NodePool) -> Iterator[Problem]:
    """Yield a problem for each role whose processes fill more memory than this machine has, with those before it."""
    filled = 0
    for role in roles:
        spec = specs[role.name]
        filled += spec.most * spec.resources.memory * role.fills_memory
        # one process alone that is too large has its own sentence
        if role.fills_memory and spec.resources.memory <= pool.memory < filled:
            total, there = filled / 2**30, pool.memory / 2**30
            text = (
                f"is filled by each of {spec.most} processes: {total:.1f}Gi, and this machine has {there:.1f}Gi. "
                "Ask for less, or for fewer replicas."
            )
            yield ("spec", "roles", role.name, "resources", "memory"), text


def _oversubscribed(asked: Sequence[tuple[int, ResourcesSpec]], pool: NodePool) -> Iterator[str]:
    """Yield a warning for each resource that all processes together exceed."""
    cpu = sum(replicas * resources.cpu for replicas, resources in asked)
    memory = sum(replicas * resources.memory for replicas, resources in asked) / 2**30
    gpus = sum(replicas * resources.gpu for replicas, resources in asked)
    has = f"pool {pool.name!r} has"
    if cpu > pool.cpu:
        yield f"roles ask for {cpu:g} CPUs, {has} {pool.cpu:g}: they share cores"
    if memory > pool.memory / 2**30:
        yield f"roles ask for {memory:.1f}Gi memory, {has} {pool.memory / 2**30:.1f}Gi: it may run out"
    if gpus > pool.gpus:
        yield f"roles ask for {gpus} GPUs, {has} {pool.gpus}: they share"


def candidates(role: Role, spec: RoleSpec, pools: Sequence[NodePool]) -> Candidates:
    """Return the pools of a cluster that may hold `role`, at least one unless there are problems."""
    path = ("spec", "roles", role.name)
    considered, refusal = _considered(spec, pools)
    if refusal:
        return Candidates(problems=(((*path, "pool"), refusal),))
    fitting = [pool for pool in considered if not list(shortages(spec, pool))]
    if not fitting:
        kept = [pool for pool in pools if pool not in considered and not list(shortages(spec, pool))]
        return Candidates(problems=tuple(_too_large(role, spec, considered, kept)))
    if spec.pool is not None:
        return _by_spot(role, spec, fitting, named=True)
    plain = [pool for pool in fitting if spec.resources.gpu or not pool.has_accelerators]
    found = _by_spot(role, spec, plain or fitting, named=False)
    if plain or found.problems:
        return found
    text = f"{role.name} asks for no GPU and runs on pool {found.pools[0].name!r}, which has some: no other holds it"
    return Candidates(found.pools, warnings=(*found.warnings, text))


def _considered(spec: RoleSpec, pools: Sequence[NodePool]) -> tuple[list[NodePool], str]:
    """Return the pools that a role may be on by their names and taints, or a sentence why there is none."""
    usable = [pool for pool in pools if runs_linux(pool)]
    if spec.pool is not None:
        named = [pool for pool in pools if pool.name == spec.pool]
        # a group's name means its kinds, but not those that are kept for others
        named = named or [pool for pool in usable if pool.group == spec.pool and not kept_for_others(pool)]
        named = named or [pool for pool in usable if pool.group == spec.pool]
        if not named:
            names = [pool.name for pool in pools]
            return [], f"unknown pool {spec.pool!r}{did_you_mean(spec.pool, names)}; there is: {', '.join(names)}"
        foreign = [pool for pool in named if not runs_linux(pool)]
        if foreign:
            return [], f"must be a pool of Linux machines: those of {foreign[0].name!r} run {foreign[0].os}"
        return named, ""
    untainted = [pool for pool in usable if not own_taints(pool)]
    # the only machines of a small cluster run the cluster itself too
    workers = [pool for pool in untainted if not pool.control_plane] or untainted
    if workers:
        return workers, ""
    kept = ", ".join(f"{pool.name} ({_why_kept(pool)})" for pool in pools)
    return [], f"must name a pool: all are kept for others: {kept}"


def runs_linux(pool: NodePool) -> bool:
    """Return True for machines that can run the image; an unknown operating system is Linux."""
    return pool.os in (None, "linux")


def kept_for_others(pool: NodePool) -> bool:
    """Return True for machines that only roles get that name the pool."""
    return pool.control_plane or bool(own_taints(pool))


def _why_kept(pool: NodePool) -> str:
    if not runs_linux(pool):
        return f"runs {pool.os}"
    taints = ", ".join(own_taints(pool))
    return f"tainted {taints}" if taints else "runs the cluster itself"


def shortages(spec: RoleSpec, pool: NodePool, which: str = "") -> Iterator[tuple[str, str]]:
    """Yield what one process asks for and no machine of the pool has: the key and a sentence."""
    asked, machine = spec.resources, f"a machine of pool {pool.name!r}{which}"
    if asked.cpu > pool.cpu:
        yield "cpu", f"must be {pool.cpu:g} or less, which is what {machine} has, not {asked.cpu:g}"
    if asked.memory > pool.memory:
        asks = format_memory(asked.memory)
        yield "memory", f"must be {pool.memory / 2**30:.1f}Gi or less, which is what {machine} has, not {asks}"
    if asked.gpu and (has := pool.count(asked.gpu_resource)) < asked.gpu:
        name = "" if asked.gpu_resource == GPU else f" {asked.gpu_resource}"
        yield "gpu", f"must be {has} or less, which is what {machine} has{name}, not {asked.gpu}{_instead(pool)}"
    elif asked.gpu and asked.gpu_kind and not same_kind(asked.gpu_kind, pool.gpu_type):
        yield "gpuKind", f"must be {pool.gpu_type or 'left out'}, which is what {machine} has, not {asked.gpu_kind}"


def _instead(pool: NodePool) -> str:
    """Name the accelerators of other names that the pool has, and how to ask for them."""
    others = [f"{count} {name}" for name, count in sorted(pool.accelerators.items()) if count]
    if not others:
        return ""
    return f"; it offers {', '.join(others)} instead: name one as gpuResource"


def same_kind(wanted: str, kind: str | None) -> bool:
    """Return True where a GPU is what is wanted: `l4` and `nvidia-l4` mean `NVIDIA-L4` too, `a100` any A100."""
    parts = re.split(r"[^a-z0-9]+", (kind or "").lower())
    return all(part in parts for part in re.split(r"[^a-z0-9]+", wanted.lower()) if part not in ("nvidia", ""))


def own_taints(pool: NodePool) -> list[str]:
    """Return taints that neither the platform nor surreal put there, as `key=value:effect`."""
    return [f"{taint.key}={taint.value}:{taint.effect}" for taint in labels.own_taints(pool.provider, pool.taints)]


def _too_large(role: Role, spec: RoleSpec, pools: Sequence[NodePool], kept: Sequence[NodePool]) -> Iterator[Problem]:
    """Yield what the pool that comes nearest lacks."""
    asked = spec.resources
    nearest = min(
        pools,
        key=lambda pool: (
            len(list(shortages(spec, pool))),
            -pool.count(asked.gpu_resource),
            -sum(pool.accelerators.values()) if asked.gpu else 0,
            -pool.cpu,
            -pool.memory,
        ),
    )
    hint = ""
    if usable := [pool for pool in kept if runs_linux(pool)]:
        hint = f"; pool {usable[0].name!r} holds it and is {_reason(usable[0])}: name it with `pool` to use it"
    which = ", the nearest of all," if len(pools) > 1 else ""
    for key, text in shortages(spec, nearest, which):
        yield ("spec", "roles", role.name, "resources", key), text + hint


def _reason(pool: NodePool) -> str:
    taints = own_taints(pool)
    return f"tainted {', '.join(taints)}" if taints else "of machines that run the cluster itself"


def _by_spot(role: Role, spec: RoleSpec, pools: Sequence[NodePool], named: bool) -> Candidates:
    """Return the pools in the order that the wish for spot machines gives."""
    spot = sorted((pool for pool in pools if pool.spot), key=lambda pool: price(spec.resources, pool))
    steady = sorted((pool for pool in pools if not pool.spot), key=lambda pool: price(spec.resources, pool))
    wish = spec.spot
    if wish or (wish is None and (role.expendable or named)):
        told = () if spot or not wish else (f"{role.name} asks for spot machines; no spot pool holds it",)
        return Candidates((*spot, *steady), warnings=told)
    if steady:
        return Candidates(tuple(steady))
    names = ", ".join(pool.name for pool in spot)
    if wish is False:
        text = f"only spot pools hold {role.name} ({names}); write true, or add a pool without spot"
        return Candidates(problems=((("spec", "roles", role.name, "spot"), text),))
    text = f"{role.name} runs on spot machines ({names}), which can be taken back: no other pool holds it"
    return Candidates(tuple(spot), warnings=(text,))


def price(asked: ResourcesSpec, pool: NodePool) -> float:
    """Return dollars an hour of one process on a machine full of them; infinite if unknown."""
    if pool.price is None:
        return float("inf")
    gpus = pool.count(asked.gpu_resource)
    shares = [asked.cpu / pool.cpu, asked.memory / pool.memory, asked.gpu / gpus if asked.gpu and gpus else 0.0]
    return pool.price * max(shares)
