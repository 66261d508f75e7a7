"""Clusters that exist already: nothing is made and nothing is deleted, their pools are described."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import Problem
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.providers.base import Pools, Say, Watch
from surreal.provisioner.spec.cluster import Cluster


class Existing:
    """The provider `existing`."""

    name = "existing"
    keys = frozenset({"context"})
    needed: Mapping[str, str] = {}
    owns_machines = False
    disks_stay = False

    def problems(self, spec: dict[str, Any], pools: Pools) -> Iterator[Problem]:
        """Yield pools that give neither the machine type nor the resources of a node."""
        for index, pool in pools:
            path = ("spec", "pools", index)
            if "machine" not in pool and "resources" not in pool:
                yield path, "machine is missing; name it, or give each node's resources: {cpu: 8, memory: 32Gi}"
            if pool.get("autoprovision") is True:
                yield (*path, "autoprovision"), "is for gke and eks; the pools of existing are fixed"

    def outdated(self, cluster: Cluster, today: date) -> Iterator[Problem]:
        """Ask for no version."""
        yield from ()

    def missing(self, root: Path = Path("/")) -> list[str]:
        """Need nothing."""
        return []

    def render(self, cluster: Cluster, table: MachineTable) -> dict[str, Any]:
        """Return no files."""
        return {}

    def objects(self, cluster: Cluster, table: MachineTable) -> list[Object]:
        """Return no objects."""
        return []

    def plan(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say that nothing is made."""
        say("the cluster exists already: nothing is made")
        return False

    def up(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Make nothing."""

    def plan_down(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say that only the record goes."""
        say("surreal did not make the cluster and does not delete it: only its record here would go")
        return True

    def down(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Delete nothing."""

    def resources(self, cluster: Cluster, folder: Path) -> int | None:
        """Count nothing."""
        return None

    def context(self, cluster: Cluster) -> str | None:
        """Return the context of the file; None for the current one."""
        return cluster.spec.context

    def write_context(self, cluster: Cluster) -> None:
        """Leave the kubeconfig as it is."""
