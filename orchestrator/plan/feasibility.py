"""The pools of a cluster on which a role may run, the best first, or why there is none.

A pool must hold one process. Machines with GPUs are for roles that ask for them, and pools with taints of the user's
own for roles that name the pool. Expendable roles go to spot machines and fall back to others; the rest the other way
round. Among equals the cheapest per process is first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from surreal.orchestrator.experiment.model import RoleSpec
from surreal.protocol.documents.locations import Problem
from surreal.protocol.documents.quantity import format_memory
from surreal.protocol.errors import did_you_mean
from surreal.protocol.graph import Role
from surreal.provisioner.pools.labels import system_keys
from surreal.provisioner.pools.model import NodePool


@dataclass(frozen=True)
class Candidates:
    """Where one role may run."""

    pools: tuple[NodePool, ...] = ()
    """In order of preference; empty when there are problems."""
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def candidates(role: Role, spec: RoleSpec, pools: Sequence[NodePool]) -> Candidates:
    """The pools of a cluster that may hold `role`, at least one unless there are problems."""
    path = ("spec", "roles", role.name)
    named = [pool for pool in pools if spec.pool in (pool.name, pool.group)]
    if spec.pool is not None and not named:
        names = [pool.name for pool in pools]
        text = f"unknown pool {spec.pool!r}{did_you_mean(spec.pool, names)}; there is: {', '.join(names)}"
        return Candidates(problems=(((*path, "pool"), text),))
    considered = named or [pool for pool in pools if not own_taints(pool)]
    if not considered:
        kept = ", ".join(f"{pool.name} ({', '.join(own_taints(pool))})" for pool in pools)
        text = f"must name a pool: all are kept for others by taints: {kept}"
        return Candidates(problems=(((*path, "pool"), text),))
    fitting = [pool for pool in considered if not list(shortages(spec, pool))]
    if not fitting:
        tainted = [pool for pool in pools if pool not in considered and not list(shortages(spec, pool))]
        return Candidates(problems=tuple(_too_large(role, spec, considered, tainted)))
    if spec.pool is not None:
        return _by_spot(role, spec, fitting, named=True)
    plain = [pool for pool in fitting if spec.resources.gpu or not pool.gpus]
    found = _by_spot(role, spec, plain or fitting, named=False)
    if plain or found.problems:
        return found
    text = f"{role.name} asks for no GPU and runs on pool {found.pools[0].name!r}, which has some: no other holds it"
    return Candidates(found.pools, warnings=(*found.warnings, text))


def shortages(spec: RoleSpec, pool: NodePool, which: str = "") -> Iterator[tuple[str, str]]:
    """What one process asks for and no machine of the pool has: the key and a sentence."""
    asked, machine = spec.resources, f"a machine of pool {pool.name!r}{which}"
    if asked.cpu > pool.cpu:
        yield "cpu", f"must be {pool.cpu:g} or less, which is what {machine} has, not {asked.cpu:g}"
    if asked.memory > pool.memory:
        asks = format_memory(asked.memory)
        yield "memory", f"must be {pool.memory / 2**30:.1f}Gi or less, which is what {machine} has, not {asks}"
    if asked.gpu > pool.gpus:
        yield "gpu", f"must be {pool.gpus} or less, which is what {machine} has, not {asked.gpu}"


def own_taints(pool: NodePool) -> list[str]:
    """Taints of the pool that neither the platform nor surreal put there, as `key=value:effect`."""
    system = system_keys(pool.provider)
    return [
        f"{taint.key}={taint.value}:{taint.effect}"
        for taint in pool.taints
        if taint.key not in system and taint.effect != "PreferNoSchedule"
    ]


def _too_large(role: Role, spec: RoleSpec, pools: Sequence[NodePool], tainted: Sequence[NodePool]) -> Iterator[Problem]:
    """What the pool that comes nearest lacks."""
    nearest = min(pools, key=lambda pool: (len(list(shortages(spec, pool))), -pool.gpus, -pool.cpu, -pool.memory))
    hint = ""
    if tainted:
        pool = tainted[0]
        hint = (
            f"; pool {pool.name!r} holds it and is tainted {', '.join(own_taints(pool))}: name it with `pool` to use it"
        )
    which = ", the nearest of all," if len(pools) > 1 else ""
    for key, text in shortages(spec, nearest, which):
        yield ("spec", "roles", role.name, "resources", key), text + hint


def _by_spot(role: Role, spec: RoleSpec, pools: Sequence[NodePool], named: bool) -> Candidates:
    """The pools in the order that the wish for spot machines gives."""
    spot = sorted((pool for pool in pools if pool.spot), key=lambda pool: _price(spec, pool))
    steady = sorted((pool for pool in pools if not pool.spot), key=lambda pool: _price(spec, pool))
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


def _price(spec: RoleSpec, pool: NodePool) -> float:
    """Dollars an hour of one process on a machine full of them; unknown ones last."""
    if pool.price is None:
        return float("inf")
    asked = spec.resources
    shares = [asked.cpu / pool.cpu, asked.memory / pool.memory, asked.gpu / pool.gpus if asked.gpu else 0.0]
    return pool.price * max(shares)
