"""Plan, make and delete a cluster, whatever its provider. Each can be interrupted at any point and given again."""

import json
from collections.abc import Callable
from pathlib import Path

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.cluster import credentials
from surreal.provisioner.cluster.spec import Cluster
from surreal.provisioner.cluster.store import ClusterFolder, cluster_folder
from surreal.provisioner.kube import kubeconfig
from surreal.provisioner.kube.cluster_objects import apply_objects, running_experiments
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.providers import minikube
from surreal.provisioner.providers.terraform.files import NODE_POOLS, files, text
from surreal.provisioner.providers.terraform.runner import Engine, Say, Step, Watch, find_engine

CLOUDS = ("gke", "eks")
"""Providers whose clusters Terraform makes."""
Agree = Callable[[], bool]
"""Asks the person whether to do what was said."""


def rendered(cluster: Cluster, table: MachineTable) -> tuple[dict[str, str], tuple[str, ...]]:
    """File name -> text, and warnings: all that would be handed to somebody else. Needs no program and no credentials.

    Raises InvalidInput at the lines of the cluster file.
    """
    if cluster.spec.provider in CLOUDS:
        found, warnings = files(cluster, table)
        return {name: text(contents) for name, contents in found.items()}, warnings
    _, warnings = declared_pools(cluster, table)
    if cluster.spec.provider == "minikube":
        return {"minikube.json": text(minikube.all_commands(cluster))}, warnings
    return {}, warnings


def plan(home: Path, cluster: Cluster, table: MachineTable, say: Say) -> bool:
    """Say what `up` would do; False if it would do nothing. Changes nothing but the rendered files."""
    credentials.check(cluster)
    found = files(cluster, table)[0] if cluster.spec.provider in CLOUDS else {}
    declared_pools(cluster, table)
    folder = cluster_folder(home, cluster.name)
    with folder.held():
        folder.write(cluster, found)
        return _plan(folder, cluster, say)


def _plan(folder: ClusterFolder, cluster: Cluster, say: Say) -> bool:
    match cluster.spec.provider:
        case "minikube":
            state = minikube.state(cluster.name)
            say(f"minikube profile {cluster.name!r} is {state.lower()}; would run:")
            say(" ".join(minikube.start_command(cluster)))
            return True
        case "existing":
            say("the cluster exists already: nothing is made")
            return False
    engine = Engine(find_engine(), folder.path)
    engine.init()
    # the nodes of Karpenter are no business of Terraform, and applying them again changes nothing
    return engine.plan(say) or folder.phase() != "up"


def up(home: Path, cluster: Cluster, table: MachineTable, agree: Agree, say: Say, watch: Watch) -> bool:
    """Make the cluster, or bring it to what the file says; False if the person does not agree.

    Ends with the kubeconfig context written. Raises SurrealError with the words of who failed; the same call again
    goes on from there.
    """
    credentials.check(cluster)
    found = files(cluster, table)[0] if cluster.spec.provider in CLOUDS else {}
    declared_pools(cluster, table)
    folder = cluster_folder(home, cluster.name)
    with folder.held():
        folder.write(cluster, found)
        changes = _plan(folder, cluster, say)
        if changes and not agree():
            return False
        if changes:
            folder.enter("going up")
            _make(folder, cluster, watch)
        kubeconfig.write_context(cluster)
        if NODE_POOLS in found:
            apply_objects(found[NODE_POOLS]["items"], kubeconfig.context(cluster))
        folder.enter("up")
    return True


def _make(folder: ClusterFolder, cluster: Cluster, watch: Watch) -> None:
    if cluster.spec.provider == "minikube":
        minikube.up(cluster, lambda text: watch(Step(0, 0, text)))
    else:
        Engine(find_engine(), folder.path).apply(watch)


def down(folder: ClusterFolder, force: bool, agree: Agree, say: Say, watch: Watch) -> bool:
    """Delete the cluster and all that was made with it; False if the person does not agree.

    Raises InvalidInput for a protected cluster and, unless by `force`, for one where experiments run; SurrealError with
    the words of who failed.
    """
    cluster = folder.cluster()
    if cluster.spec.deletion_protection:
        raise InvalidInput(
            f"cluster {cluster.name!r} is protected: set deletionProtection: false in its file and "
            "surreal cluster up it, then take it down"
        )
    credentials.check(cluster)
    with folder.held():
        if not force and folder.phase() == "up" and cluster.spec.provider != "existing":
            _refuse_while_running(cluster)
        if cluster.spec.provider in CLOUDS:
            engine = Engine(find_engine(), folder.path)
            engine.init()
            changes = engine.plan(say, destroy=True)
            if changes and not agree():
                return False
            folder.enter("going down")
            if changes:
                engine.apply(watch)
        else:
            say(_farewell(cluster))
            if not agree():
                return False
            folder.enter("going down")
            if cluster.spec.provider == "minikube":
                minikube.down(cluster.name)
        folder.remove()
    return True


def _refuse_while_running(cluster: Cluster) -> None:
    try:
        found = running_experiments(kubeconfig.context(cluster))
    except SurrealError as error:
        raise InvalidInput(
            f"cannot tell whether experiments run on {cluster.name!r}: {error}; --force takes it down all the same"
        ) from None
    if found:
        raise InvalidInput(
            f"on {cluster.name!r} still run: {', '.join(found)}; stop them first, or --force ends them with the cluster"
        )


def _farewell(cluster: Cluster) -> str:
    if cluster.spec.provider == "minikube":
        return f"minikube profile {cluster.name!r} would be deleted with all that is in it"
    return "the cluster is not ours to delete: only its record here would go"


def resources(folder: ClusterFolder) -> int | None:
    """How many things the engine knows to be there; None where no engine made them."""
    if folder.cluster().spec.provider not in CLOUDS:
        return None
    state = folder.path / "terraform.tfstate"
    if not state.exists():
        return 0 if folder.cluster().spec.state is None else None
    return sum(
        len(each["instances"]) for each in json.loads(state.read_text())["resources"] if each["mode"] == "managed"
    )
