"""Clusters that Terraform or OpenTofu makes: the part of a provider that all clouds share."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import KeyPath, Problem
from surreal.protocol.errors import InvalidInput
from surreal.provisioner import subprocesses
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_file import declared_pools, pool_machine
from surreal.provisioner.providers.base import Pools, Say, Watch, unsupported
from surreal.provisioner.providers.terraform.common import Block, Machines
from surreal.provisioner.providers.terraform.runner import Engine, find_engine
from surreal.provisioner.spec.cluster import Cluster

CLOUD_KEYS = frozenset({"region", "zones", "store", "state", "network", "kubernetes", "deletionProtection"})


class TerraformProvider(ABC):
    """A cloud whose clusters Terraform makes. Subclasses render the files and know the cloud's own rules."""

    name: str
    keys: frozenset[str] = CLOUD_KEYS
    needed: Mapping[str, str]
    owns_machines = True
    disks_stay = True
    programs: tuple[str, ...]
    """Programs that reach its clusters."""
    example_machine: str
    region_form: str
    """Regular expression of the names of regions."""
    versions: Mapping[str, date]
    """Minor version of Kubernetes -> the day its support ends."""

    @abstractmethod
    def zone_stem(self, region: str) -> str:
        """Return the text that the names of the region's zones begin with; one letter follows."""

    @abstractmethod
    def credentials_missing(self, root: Path) -> str | None:
        """Return how to get credentials; None if there are some."""

    @abstractmethod
    def terraform(self, cluster: Cluster, machines: Machines) -> dict[str, Block]:
        """Return file name -> contents of the Terraform files."""

    @abstractmethod
    def context(self, cluster: Cluster) -> str | None:
        """Return the name of the kubeconfig context."""

    @abstractmethod
    def write_context(self, cluster: Cluster) -> None:
        """Have the cloud's program write the context. Raises SurrealError."""

    def problems(self, spec: dict[str, Any], pools: Pools) -> Iterator[Problem]:
        """Yield what is wrong between keys on every cloud."""
        yield from self._region(spec)
        yield from _api_access(spec)
        yield from _state(spec)
        yield from self._zones(spec, spec.get("zones"), ("spec", "zones"))
        for index, pool in pools:
            path: KeyPath = ("spec", "pools", index)
            if "machine" not in pool:
                yield path, f"machine is missing: the machine type, for example {self.example_machine}"
            yield from self._zones(spec, pool.get("zones"), (*path, "zones"))
            if pool.get("autoprovision") is True and pool.get("min", 0) != 0:
                yield (
                    (*path, "min"),
                    "must be 0 with autoprovision: its machines are made for pods that wait, and go again",
                )

    def outdated(self, cluster: Cluster, today: date) -> Iterator[Problem]:
        """Yield a version of Kubernetes that the cloud makes no new cluster of."""
        version = cluster.spec.kubernetes.version
        if version and (text := unsupported(version, self.versions, today)):
            yield ("spec", "kubernetes", "version"), text

    def _region(self, spec: dict[str, Any]) -> Iterator[Problem]:
        region = spec.get("region")
        if not isinstance(region, str) or re.fullmatch(self.region_form, region):
            return
        stem = next((region[:end] for end in range(len(region)) if re.fullmatch(self.region_form, region[:end])), "")
        if stem and re.fullmatch(f"{re.escape(self.zone_stem(stem))}[a-z]", region):
            yield ("spec", "region"), f"must be a region, and {region!r} is a zone of {stem}: zones: [{region}]"
        else:
            yield ("spec", "region"), f"must be {self.needed['region']}, not {region!r}"

    def _zones(self, spec: dict[str, Any], zones: Any, path: KeyPath) -> Iterator[Problem]:
        """Yield zones that are not in the region: us-central1-a is in us-central1, us-east-1a in us-east-1."""
        region = spec.get("region")
        if not isinstance(region, str) or not isinstance(zones, list):
            return
        stem = self.zone_stem(region)
        for index, zone in enumerate(zones):
            if isinstance(zone, str) and not (zone.startswith(stem) and len(zone) == len(stem) + 1):
                yield (*path, index), f"must be a zone of {region} such as {stem}a, not {zone!r}"
            if zone in zones[:index]:
                yield (*path, index), f"{zone!r} stands there twice"

    def missing(self, root: Path = Path("/")) -> list[str]:
        """Return a sentence for each of engine, programs and credentials that is missing."""
        found = subprocesses.lacking(self.programs)
        try:
            find_engine()
        except InvalidInput as error:
            found.insert(0, str(error))
        credentials = self.credentials_missing(root)
        return [*found, *([credentials] if credentials else [])]

    def render(self, cluster: Cluster, table: MachineTable) -> dict[str, Any]:
        """Return the Terraform files. Raises InvalidInput, at the file's lines, for machines that cannot be had."""
        declared_pools(cluster, table)
        return dict(self.terraform(cluster, pool_machines(cluster, table)))

    def objects(self, cluster: Cluster, table: MachineTable) -> list[Object]:
        """Return the service account that may use the store, and its namespace unless it is there in every cluster."""
        store = cluster.spec.store
        if store is None:
            return []
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": store.namespace}}
        account = {"name": store.service_account, "namespace": store.namespace}
        made = [] if store.namespace == "default" else [namespace]
        return [*made, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}]

    def plan(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say the engine's plan. Raises SurrealError with the engine's words."""
        engine = Engine(find_engine(), folder)
        engine.init()
        return engine.plan(say)

    def up(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Apply the engine's last plan. Raises SurrealError with the engine's words."""
        Engine(find_engine(), folder).apply(watch)

    def plan_down(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say the engine's plan of deleting everything."""
        engine = Engine(find_engine(), folder)
        engine.init()
        return engine.plan(say, destroy=True)

    def down(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Apply the engine's last plan."""
        self.up(cluster, folder, watch)

    def resources(self, cluster: Cluster, folder: Path) -> int | None:
        """Return how many things the engine's state lists; None if the state lies in a bucket."""
        state = folder / "terraform.tfstate"
        if not state.exists():
            return 0 if cluster.spec.state is None else None
        listed = json.loads(state.read_text())["resources"]
        return sum(len(resource["instances"]) for resource in listed if resource["mode"] == "managed")


def pool_machines(cluster: Cluster, table: MachineTable) -> Machines:
    """Return pool's name -> one of its machines."""
    return {pool.name: pool_machine(cluster, pool, table) for pool in cluster.spec.pools}


def _api_access(spec: dict[str, Any]) -> Iterator[Problem]:
    network = spec.get("network", {})
    listed = network.get("allowedCidrs") if isinstance(network, dict) else None
    for index, cidr in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(cidr, str) and ":" in cidr:
            yield (
                ("spec", "network", "allowedCidrs", index),
                f"must be an IPv4 network, not {cidr!r}: the API of these clusters has IPv4 addresses",
            )
    if isinstance(network, dict) and not listed:
        path: KeyPath = ("spec", "network") if "network" in spec else ("spec",)
        yield (
            path,
            "allowedCidrs is missing: say from where the Kubernetes API may be reached, "
            "for example network: {allowedCidrs: [203.0.113.7/32]}; 0.0.0.0/0 is everywhere",
        )


def _state(spec: dict[str, Any]) -> Iterator[Problem]:
    state = spec.get("state")
    if isinstance(state, dict) and state.get("backend") == "s3" and "region" not in state:
        yield ("spec", "state"), "region is missing: that of the bucket, for example us-east-1"
    if isinstance(state, dict) and state.get("backend") == "gcs" and "region" in state:
        yield ("spec", "state", "region"), "is for s3; gcs finds its buckets by name"
