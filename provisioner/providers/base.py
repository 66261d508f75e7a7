"""The interface of a provider of clusters, and what providers have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from surreal.protocol.documents.locations import Problem
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.spec.cluster import Cluster

Pools = Sequence[tuple[int, dict[str, Any]]]
"""Index and plain data of each pool of a document that is not checked yet."""
Say = Callable[[str], None]
"""Receives one line for the person."""
_VENDOR = Path("sys/class/dmi/id/sys_vendor")
"""Names the vendor of this machine; a cloud's machine has credentials of its own."""


@dataclass(frozen=True)
class Step:
    """One event while a cluster is made or deleted."""

    done: int
    """Resources that are finished, of those that change."""
    total: int
    text: str
    passing: bool = False
    """Only says that something still goes on."""


Watch = Callable[[Step], None]
"""Receives each step."""


class Provider(Protocol):
    """Everything that differs between the providers of clusters. All else asks no provider's name."""

    @property
    def name(self) -> str:
        """The value of `spec.provider`."""

    @property
    def keys(self) -> frozenset[str]:
        """Keys of `spec` that this provider knows and others may not."""

    @property
    def needed(self) -> Mapping[str, str]:
        """Keys of `spec` that it cannot do without, and their meaning."""

    @property
    def owns_machines(self) -> bool:
        """True if the machines end with the cluster."""

    def problems(self, spec: dict[str, Any], pools: Pools) -> Iterator[Problem]:
        """Yield what this provider refuses in plain data of `spec` that nothing has checked."""

    @property
    def disks_stay(self) -> bool:
        """True if disks of volumes stay, and are billed, when the cluster is gone."""

    def outdated(self, cluster: Cluster, today: date) -> Iterator[Problem]:
        """Yield what a cluster could be yesterday and cannot be made with on `today`: versions out of support."""

    def missing(self, root: Path = Path("/")) -> list[str]:
        """Return a sentence for each program and credential that is missing on the machine at `root`."""

    def render(self, cluster: Cluster, table: MachineTable) -> dict[str, Any]:
        """Return file name -> plain data of all that other programs get. Raises InvalidInput at the file's lines."""

    def objects(self, cluster: Cluster, table: MachineTable) -> list[Object]:
        """Return the Kubernetes objects that the cluster gets when it is there."""

    def plan(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say what `up` would do; return False if that is nothing."""

    def up(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Apply the changes of `plan`. Raises SurrealError with the words of the program that failed."""

    def plan_down(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say what `down` would do; return False if that is nothing."""

    def down(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Apply the changes of `plan_down`. Raises SurrealError with the words of the program that failed."""

    def resources(self, cluster: Cluster, folder: Path) -> int | None:
        """Return how many things were made; None if no program counts them."""

    def context(self, cluster: Cluster) -> str | None:
        """Return the name of the kubeconfig context; None for the current one."""

    def write_context(self, cluster: Cluster) -> None:
        """Have the provider's own program write the context, and make it the current one. Raises SurrealError."""


def check_at_hand(provider: Provider) -> None:
    """Raise InvalidInput that names every missing program and credential, and how to get it."""
    if missing := provider.missing():
        raise InvalidInput("\n".join(missing))


def on_machine_of(vendor: str, root: Path) -> bool:
    """Return True on a virtual machine of that vendor, which lends it credentials."""
    try:
        return vendor in (root / _VENDOR).read_text()
    except OSError:
        return False


OLDEST = (1, 33)
"""The oldest minor version whose objects surreal makes."""
GKE = {"1.33": date(2026, 8, 3), "1.34": date(2026, 10, 1), "1.35": date(2027, 4, 11)}
EKS = {"1.33": date(2026, 7, 29), "1.34": date(2026, 12, 2), "1.35": date(2027, 3, 27)}


def unsupported(version: str, ends: Mapping[str, date], today: date) -> str | None:
    """Return what is wrong with a minor version on `today`; None for one that a new cluster can have."""
    number = tuple(int(part) for part in version.split("."))
    if number < OLDEST:
        return f"must be {'.'.join(map(str, OLDEST))} or later, which surreal needs, not {version!r}"
    end = ends.get(version)
    if end is None or today <= end:
        return None
    later = [each for each, day in ends.items() if today <= day]
    advice = f"take {later[-1]}, or leave it out for" if later else "leave it out for"
    return f"{version!r} is out of support since {end}: {advice} the provider's default"
