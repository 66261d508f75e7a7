"""A checked Cluster from a file or plain data: the models' rules, those between keys, and those of the provider.

The rules between keys read plain data that may be wrong in any way. The models refuse what has the wrong shape.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import Problem, Source
from surreal.protocol.documents.models import validated
from surreal.protocol.documents.yaml import load_file
from surreal.provisioner.providers.base import Provider
from surreal.provisioner.providers.registry import PROVIDERS
from surreal.provisioner.spec.cluster import Cluster


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster file. Raises one InvalidInput that names every problem with its line."""
    return cluster_from_data(*load_file(path))


def cluster_from_data(data: Any, source: Source | None = None) -> Cluster:
    """Check plain `data`. Raises one InvalidInput that names every problem."""
    source = source or Source("cluster.yaml")
    cluster, problems = validated(Cluster, data)
    problems += _between_keys(data)
    if problems or cluster is None:
        raise source.invalid(problems)
    return cluster.at(source)


def cluster_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of cluster files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Cluster.model_json_schema(by_alias=True)}


def _between_keys(data: Any) -> list[Problem]:
    """Return everything that is wrong between the keys of a cluster document."""
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(spec, dict):
        return []
    listed = spec.get("pools")
    pools = [(i, pool) for i, pool in enumerate(listed if isinstance(listed, list) else []) if isinstance(pool, dict)]
    found = [*_bounds(pools), *_twice(pools)]
    name = spec.get("provider")
    provider = PROVIDERS.get(name) if isinstance(name, str) else None
    if provider:
        found += [*_unknown_keys(provider, spec), *provider.problems(spec, pools)]
    return found


def _unknown_keys(provider: Provider, spec: dict[str, Any]) -> Iterator[Problem]:
    """Yield keys that other providers know and this one does not, and keys that it cannot do without."""
    special = {key for each in PROVIDERS.values() for key in each.keys}
    for key in spec:
        if key in special - provider.keys:
            owners = [name for name, each in PROVIDERS.items() if key in each.keys]
            yield ("spec", key), f"means nothing on {provider.name}; it is for {' and '.join(owners)}"
    for key, meaning in provider.needed.items():
        if key not in spec:
            yield ("spec",), f"{key} is missing: {provider.name} needs it, {meaning}"


def _bounds(pools: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    for index, pool in pools:
        low, high = pool.get("min", 0), pool.get("max")
        if isinstance(low, int) and isinstance(high, int) and low > high:
            yield ("spec", "pools", index, "min"), f"must be max ({high}) or less, not {low}"


def _twice(pools: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, pool in pools:
        name = pool.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield (
                ("spec", "pools", index, "name"),
                f"{name!r} is the name of pool {first[name] + 1} already; give this one another",
            )
