"""What must hold between the keys of a cluster file, said together with what is wrong with each key alone.

The rules read plain data that may be wrong in any way: what has the wrong shape is the models' to refuse.
"""

from collections.abc import Iterator
from typing import Any

from surreal.protocol.documents.locations import KeyPath, Problem

_WHERE = {
    "project": ("gke",),
    "region": ("gke", "eks"),
    "zones": ("gke", "eks"),
    "context": ("existing",),
    "minikube": ("minikube",),
    "store": ("gke", "eks"),
    "state": ("gke", "eks"),
    "network": ("gke", "eks"),
    "kubernetes": ("gke", "eks", "minikube"),
    "deletionProtection": ("gke", "eks"),
}
"""Key -> the providers that know it."""
_NEEDED = {
    "gke": {"project": "the id of a Google Cloud project", "region": "for example us-central1"},
    "eks": {"region": "for example us-east-1"},
}
"""Provider -> the keys it cannot do without, and what they are."""


def problems(data: Any) -> list[Problem]:
    """Everything that is wrong between the keys of a cluster document."""
    spec = data.get("spec") if isinstance(data, dict) else None
    if not isinstance(spec, dict):
        return []
    found = [*_of_the_provider(spec), *_api_access(spec), *_zones(spec, spec.get("zones"), ("spec", "zones"))]
    listed = spec.get("pools")
    pools = [(i, pool) for i, pool in enumerate(listed if isinstance(listed, list) else []) if isinstance(pool, dict)]
    for index, pool in pools:
        found += _pool(spec, pool, ("spec", "pools", index))
    return [*found, *_twice(pools), *_one_size(spec, pools), *_state(spec), *_eks_zones(spec, pools)]


def _of_the_provider(spec: dict[str, Any]) -> Iterator[Problem]:
    provider = spec.get("provider")
    if provider not in ("gke", "eks", "minikube", "existing"):
        return
    for key, providers in _WHERE.items():
        if key in spec and provider not in providers:
            yield ("spec", key), f"means nothing on {provider}; it is for {' and '.join(providers)}"
    for key, meaning in _NEEDED.get(provider, {}).items():
        if key not in spec:
            yield ("spec",), f"{key} is missing: {provider} needs it, {meaning}"
    kubernetes = spec.get("kubernetes")
    if provider != "gke" and isinstance(kubernetes, dict) and "channel" in kubernetes:
        yield ("spec", "kubernetes", "channel"), "is for gke; say a version here"


def _api_access(spec: dict[str, Any]) -> Iterator[Problem]:
    network = spec.get("network", {})
    if spec.get("provider") in ("gke", "eks") and isinstance(network, dict) and not network.get("allowedCidrs"):
        path: KeyPath = ("spec", "network") if "network" in spec else ("spec",)
        yield (
            path,
            "allowedCidrs is missing: say from where the Kubernetes API may be reached, "
            "for example network: {allowedCidrs: [203.0.113.7/32]}; 0.0.0.0/0 is everywhere",
        )


def _zones(spec: dict[str, Any], zones: Any, path: KeyPath) -> Iterator[Problem]:
    """Zones that are not in the region: us-central1-a is in us-central1, us-east-1a in us-east-1."""
    region, provider = spec.get("region"), spec.get("provider")
    if provider not in ("gke", "eks") or not isinstance(region, str) or not isinstance(zones, list):
        return
    stem = f"{region}-" if provider == "gke" else region
    for index, zone in enumerate(zones):
        if isinstance(zone, str) and not (zone.startswith(stem) and len(zone) == len(stem) + 1):
            yield (*path, index), f"must be a zone of {region} such as {stem}a, not {zone!r}"
        if zone in zones[:index]:
            yield (*path, index), f"{zone!r} stands there twice"


def _pool(spec: dict[str, Any], pool: dict[str, Any], path: KeyPath) -> Iterator[Problem]:
    provider = spec.get("provider")
    low, high = pool.get("min", 0), pool.get("max")
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield (*path, "min"), f"must be max ({high}) or less, not {low}"
    if provider in ("gke", "eks") and "machine" not in pool:
        yield path, "machine is missing: the machine type, for example " + _EXAMPLE[provider]
    if provider == "existing" and "machine" not in pool and "resources" not in pool:
        yield path, "machine is missing; or say resources: {cpu: 8, memory: 32Gi}, what one node has"
    yield from _zones(spec, pool.get("zones"), (*path, "zones"))
    if pool.get("autoprovision") is True and provider in ("minikube", "existing"):
        yield (*path, "autoprovision"), f"is for gke and eks; the pools of {provider} are fixed"
    if pool.get("autoprovision") is True and provider in ("gke", "eks") and low != 0:
        yield (*path, "min"), "must be 0 with autoprovision: its machines are made for pods that wait, and go again"
    if provider == "minikube":
        for key in ("machine", "zones", "disk"):
            if key in pool:
                yield (*path, key), "means nothing on minikube; say resources: {cpu: 2, memory: 4Gi}"


_EXAMPLE = {"gke": "n2-standard-8", "eks": "m7i.2xlarge"}


def _twice(pools: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, pool in pools:
        name = pool.get("name")
        if isinstance(name, str) and first.setdefault(name, index) != index:
            yield (
                ("spec", "pools", index, "name"),
                f"{name!r} is the name of pool {first[name] + 1} already; give this one another",
            )


def _one_size(spec: dict[str, Any], pools: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    """minikube makes all its nodes alike."""
    for index, pool in pools[1:] if spec.get("provider") == "minikube" else []:
        if pool.get("resources") != pools[0][1].get("resources"):
            path: KeyPath = ("spec", "pools", index)
            yield (
                (*path, "resources") if "resources" in pool else path,
                "must be those of the first pool: minikube makes all nodes of a cluster alike",
            )


def _state(spec: dict[str, Any]) -> Iterator[Problem]:
    state = spec.get("state")
    if isinstance(state, dict) and state.get("backend") == "s3" and "region" not in state:
        yield ("spec", "state"), "region is missing: that of the bucket, for example us-east-1"
    if isinstance(state, dict) and state.get("backend") == "gcs" and "region" in state:
        yield ("spec", "state", "region"), "is for s3; gcs finds its buckets by name"


def _eks_zones(spec: dict[str, Any], pools: list[tuple[int, dict[str, Any]]]) -> Iterator[Problem]:
    """On EKS a zone has a subnet or cannot be used."""
    if spec.get("provider") != "eks":
        return
    zones = spec.get("zones", [])
    if not isinstance(zones, list):
        return
    if len(zones) == 1:
        yield ("spec", "zones"), "must be two zones or more: the control plane of EKS needs subnets in two"
    for index, pool in pools:
        wanted = pool.get("zones", [])
        for zone in wanted if isinstance(wanted, list) else []:
            if zone not in zones:
                listed = f"has only: {', '.join(map(str, zones))}" if zones else "says no zones"
                yield ("spec", "pools", index, "zones"), f"{zone!r} has no subnet: spec.zones {listed}"
