"""Clusters on this machine: minikube's commands and their answers.

minikube knows no pools: its nodes are all alike, so each gets the label of its pool, in the order of the file.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from surreal.protocol.documents.locations import KeyPath, Problem
from surreal.protocol.errors import SurrealError
from surreal.provisioner import subprocesses
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools import labels
from surreal.provisioner.pools.from_file import extra_taints
from surreal.provisioner.providers.base import Pools, Say, Step, Watch, unsupported
from surreal.provisioner.spec.cluster import Cluster, MachineSpec, PoolSpec

NODE = MachineSpec(cpu=2.0, memory=4 * 2**30)
"""Size of a node by default."""


class Minikube:
    """The provider `minikube`."""

    name = "minikube"
    keys = frozenset({"minikube", "kubernetes"})
    needed: Mapping[str, str] = {}
    owns_machines = True
    disks_stay = False

    def problems(self, spec: dict[str, Any], pools: Pools) -> Iterator[Problem]:
        """Yield keys that mean nothing here, and nodes that are to differ."""
        if isinstance(kubernetes := spec.get("kubernetes"), dict) and "channel" in kubernetes:
            yield ("spec", "kubernetes", "channel"), "is for gke; say a version here"
        for index, pool in pools:
            path: KeyPath = ("spec", "pools", index)
            if pool.get("autoprovision") is True:
                yield (*path, "autoprovision"), "is for gke and eks; the pools of minikube are fixed"
            for key in ("machine", "zones", "disk"):
                if key in pool:
                    yield (*path, key), "means nothing on minikube; say resources: {cpu: 2, memory: 4Gi}"
            if pool.get("resources") != pools[0][1].get("resources"):
                yield (
                    (*path, "resources") if "resources" in pool else path,
                    "must be those of the first pool: minikube makes all nodes of a cluster alike",
                )

    def outdated(self, cluster: Cluster, today: date) -> Iterator[Problem]:
        """Yield a version that surreal cannot use; minikube itself makes old ones too."""
        version = cluster.spec.kubernetes.version
        if version and (text := unsupported(version, {}, today)):
            yield ("spec", "kubernetes", "version"), text

    def missing(self, root: Path = Path("/")) -> list[str]:
        """Return a sentence if minikube is not on PATH."""
        return subprocesses.lacking(["minikube"])

    def render(self, cluster: Cluster, table: MachineTable) -> dict[str, Any]:
        """Return the commands that `up` runs for a cluster that is not there yet."""
        return {"minikube.json": all_commands(cluster)}

    def objects(self, cluster: Cluster, table: MachineTable) -> list[Object]:
        """Return no objects."""
        return []

    def plan(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say the command that `up` runs; it does no harm to a cluster that is there."""
        say(f"minikube profile {cluster.name!r} is {state(cluster.name).lower()}; would run:")
        say(" ".join(start_command(cluster)))
        return True

    def up(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Make the cluster and mark its nodes. Raises SurrealError with minikube's own words and advice."""
        up(cluster, lambda text: watch(Step(0, 0, text)))

    def plan_down(self, cluster: Cluster, folder: Path, say: Say) -> bool:
        """Say that everything in the profile goes."""
        say(f"minikube profile {cluster.name!r} would be deleted with all that is in it")
        return True

    def down(self, cluster: Cluster, folder: Path, watch: Watch) -> None:
        """Delete the cluster. Raises SurrealError with minikube's words."""
        subprocesses.run(["minikube", "delete", f"--profile={cluster.name}"])

    def resources(self, cluster: Cluster, folder: Path) -> int | None:
        """Count nothing."""
        return None

    def context(self, cluster: Cluster) -> str | None:
        """Return the profile's name, which minikube gives to the context too."""
        return cluster.name

    def write_context(self, cluster: Cluster) -> None:
        """Leave the kubeconfig as minikube has written it."""


def start_command(cluster: Cluster) -> list[str]:
    """Return the command that makes the cluster, or starts it again."""
    spec = cluster.spec
    size, pools = spec.pools[0].resources or NODE, spec.pools
    options = {
        "--nodes": sum(pool.max for pool in pools),
        "--cpus": max(2, -int(-size.cpu // 1)),
        "--memory": f"{size.memory >> 20}mb",
        "--cni": spec.minikube.cni,
        "--addons": ",".join(spec.minikube.addons),
        "--driver": spec.minikube.driver,
        "--kubernetes-version": f"v{spec.kubernetes.version}" if spec.kubernetes.version else None,
        "--gpus": "all" if any(pool.accelerator for pool in pools) else None,
    }
    given = [f"{name}={value}" for name, value in options.items() if value]
    return ["minikube", "start", f"--profile={cluster.name}", *given, "--interactive=false", "--output=json"]


def all_commands(cluster: Cluster) -> list[list[str]]:
    """Return every command that `up` runs for a cluster that is not there yet."""
    count = sum(pool.max for pool in cluster.spec.pools)
    # as minikube names them
    found = [cluster.name, *(f"{cluster.name}-m{number:02}" for number in range(2, count + 1))]
    marked = [command for node, pool in assigned(cluster, found) for command in marks(cluster, node, pool)]
    return [start_command(cluster), *marked]


def up(cluster: Cluster, say: Say) -> None:
    """Make the cluster and mark its nodes; of one that is there, start it and bring it to what the file says.

    Raises SurrealError with minikube's own words and advice.
    """
    events = _Events(say)
    try:
        subprocesses.run(start_command(cluster), events.read)
    except SurrealError as error:
        raise SurrealError("\n".join(events.errors) or str(error)) from None
    # minikube starts a cluster that is there with the nodes it had
    wanted = sum(pool.max for pool in cluster.spec.pools)
    for _ in range(wanted - len(nodes(cluster.name))):
        say("adding a node")
        subprocesses.run(["minikube", "node", "add", f"--profile={cluster.name}"])
    for node, pool in assigned(cluster, nodes(cluster.name)):
        say(f"{node} is of pool {pool.name}")
        for command in marks(cluster, node, pool):
            subprocesses.run(command)


def nodes(name: str) -> list[str]:
    """Return the names of the cluster's nodes, in their order."""
    answer = subprocesses.run(["minikube", "node", "list", f"--profile={name}"])
    return [line.split()[0] for line in answer.splitlines() if line.startswith(name)]


def assigned(cluster: Cluster, found: list[str]) -> Iterator[tuple[str, PoolSpec]]:
    """Return each node with its pool; nodes beyond those of the pools are of none."""
    slots = [pool for pool in cluster.spec.pools for _ in range(pool.max)]
    return zip(found, slots, strict=False)


def marks(cluster: Cluster, node: str, pool: PoolSpec) -> Iterator[list[str]]:
    """Return the commands that write a pool's labels and taints on a node, whatever it had of them before."""
    kubectl = ["minikube", f"--profile={cluster.name}", "kubectl", "--"]
    platform = labels.platform_of(cluster.spec.provider, pool.autoprovision)
    written = labels.written_labels(platform, pool.name, pool.spot, pool.labels)
    yield [*kubectl, "label", "node", node, "--overwrite", *(f"{key}={value}" for key, value in written.items())]
    gpu = pool.accelerator is not None
    taints = labels.written_taints(platform, pool.name, pool.spot, gpu, extra_taints(pool))
    if taints:
        words = [f"{taint.key}={taint.value}:{taint.effect}" for taint in taints]
        yield [*kubectl, "taint", "node", node, "--overwrite", *words]


def state(name: str) -> str:
    """Return `OK`, `Stopped`, or another word of minikube; `Nonexistent` for a cluster that is not there."""
    try:
        answer = json.loads(subprocesses.run(["minikube", "profile", "list", "--output=json", "--light"]))
    except (SurrealError, ValueError):
        # some versions fail where there is no cluster at all
        return "Nonexistent"
    for profile in [*(answer.get("valid") or []), *(answer.get("invalid") or [])]:
        if profile.get("Name") == name:
            return str(profile.get("Status") or "Unknown")
    return "Nonexistent"


class _Events:
    """minikube's JSON lines (CloudEvents) -> sentences: steps as they come, errors to keep."""

    _PREFIX = "io.k8s.sigs.minikube."

    def __init__(self, say: Say) -> None:
        self.errors: list[str] = []
        self._say = say

    def read(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind, data = str(event["type"]).removeprefix(self._PREFIX), dict(event["data"])
        except (ValueError, TypeError, KeyError):
            return
        message = str(data.get("message", "")).strip()
        if kind == "step":
            self._say(_step(data, message))
        elif kind == "error":
            advice = str(data.get("advice") or "").strip()
            self.errors += [part for part in (message, advice) if part]
        elif kind == "warning":
            self._say(f"warning: {message}")


def _step(data: dict[str, Any], message: str) -> str:
    """Return `[3/19] Preparing Kubernetes ...`, without the marks that minikube paints before it."""
    words = message.lstrip("".join(chr(c) for c in range(0x2000, 0x2C00)) + "".join(map(chr, range(0x1F300, 0x1FB00))))
    return f"[{data.get('currentstep', '?')}/{data.get('totalsteps', '?')}] {words.strip()}"
