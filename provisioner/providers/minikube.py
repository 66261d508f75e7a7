"""A Cluster on this machine: minikube's commands, and what it answers.

minikube knows no pools: its nodes are all alike, so each gets the label of its pool, in the order of the file.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from surreal.protocol.errors import SurrealError
from surreal.provisioner import subprocesses as commands
from surreal.provisioner.cluster.spec import Cluster, MachineSpec, PoolSpec
from surreal.provisioner.pools import labels

Say = Callable[[str], None]

NODE = MachineSpec(cpu=2.0, memory=4 * 2**30)
"""What a node has unless the file says."""


def start_command(cluster: Cluster) -> list[str]:
    """The command that makes the cluster, or starts it again."""
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
    """Every command that `up` runs for a cluster that is not there yet."""
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
        commands.run(start_command(cluster), events.read)
    except SurrealError as error:
        raise SurrealError("\n".join(events.errors) or str(error)) from None
    # minikube starts a cluster that is there with the nodes it had
    wanted = sum(pool.max for pool in cluster.spec.pools)
    for _ in range(wanted - len(nodes(cluster.name))):
        say("adding a node")
        commands.run(["minikube", "node", "add", f"--profile={cluster.name}"])
    for node, pool in assigned(cluster, nodes(cluster.name)):
        say(f"{node} is of pool {pool.name}")
        for command in marks(cluster, node, pool):
            commands.run(command)


def down(name: str) -> None:
    """Delete the cluster. Raises SurrealError with minikube's words."""
    commands.run(["minikube", "delete", f"--profile={name}"])


def nodes(name: str) -> list[str]:
    """The names of the cluster's nodes, in their order."""
    answer = commands.run(["minikube", "node", "list", f"--profile={name}"])
    return [line.split()[0] for line in answer.splitlines() if line.startswith(name)]


def assigned(cluster: Cluster, found: list[str]) -> Iterator[tuple[str, PoolSpec]]:
    """Each node with its pool; nodes beyond those of the pools are of none."""
    slots = [pool for pool in cluster.spec.pools for _ in range(pool.max)]
    return zip(found, slots, strict=False)


def marks(cluster: Cluster, node: str, pool: PoolSpec) -> Iterator[list[str]]:
    """The commands that write a pool's labels and taints on a node, whatever it had of them before."""
    kubectl = ["minikube", f"--profile={cluster.name}", "kubectl", "--"]
    platform = cluster.platform(pool)
    written = labels.written_labels(platform, pool.name, pool.spot, pool.labels)
    yield [*kubectl, "label", "node", node, "--overwrite", *(f"{key}={value}" for key, value in written.items())]
    gpu = pool.accelerator is not None
    taints = labels.written_taints(platform, pool.name, pool.spot, gpu, pool.extra_taints)
    if taints:
        words = [f"{taint.key}={taint.value}:{taint.effect}" for taint in taints]
        yield [*kubectl, "taint", "node", node, "--overwrite", *words]


def state(name: str) -> str:
    """`OK`, `Stopped`, or what else minikube calls it; `Nonexistent` for a cluster that is not there."""
    try:
        answer = json.loads(commands.run(["minikube", "profile", "list", "--output=json", "--light"]))
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
    """`[3/19] Preparing Kubernetes ...`, without the marks that minikube paints before it."""
    words = message.lstrip("".join(chr(c) for c in range(0x2000, 0x2C00)) + "".join(map(chr, range(0x1F300, 0x1FB00))))
    return f"[{data.get('currentstep', '?')}/{data.get('totalsteps', '?')}] {words.strip()}"
