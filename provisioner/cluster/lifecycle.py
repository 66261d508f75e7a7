"""Plan, make and delete a cluster, whatever its provider. Each can be interrupted at any point and given again."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

from surreal.protocol.errors import InvalidInput, SurrealError
from surreal.provisioner.cluster.store import OBJECTS, ClusterFolder, cluster_folder
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import name_of, text
from surreal.provisioner.machine_types import MachineTable
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.providers.base import Provider, Say, Watch, check_at_hand
from surreal.provisioner.providers.registry import provider_of
from surreal.provisioner.spec.cluster import Cluster

Agree = Callable[[], bool]
"""Asks the person whether to do what was said."""


def rendered(
    cluster: Cluster, table: MachineTable, today: date | None = None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return file name -> text, and warnings: all that other programs would get. Needs no program, no credentials.

    Raises InvalidInput at the lines of the cluster file, also for a version that is out of support `today`.
    """
    _, warnings = declared_pools(cluster, table)
    if outdated := list(provider_of(cluster).outdated(cluster, today or date.today())):
        raise cluster.source.invalid(outdated)
    return _files(provider_of(cluster), cluster, table), warnings


def plan(home: Path, cluster: Cluster, table: MachineTable, say: Say) -> bool:
    """Say what `up` would do; return False if that is nothing. Changes nothing but the rendered files."""
    provider = provider_of(cluster)
    check_at_hand(provider)
    found, _ = rendered(cluster, table)
    folder = cluster_folder(home, cluster.name)
    with folder.held():
        folder.write(cluster, found)
        return _plan(provider, folder, cluster, say)


def up(home: Path, cluster: Cluster, table: MachineTable, agree: Agree, say: Say, watch: Watch) -> bool:
    """Make the cluster, or bring it to what the file says; return False if the person does not agree.

    Ends with the kubeconfig context written. Raises SurrealError with the words of the program that failed; the same
    call again goes on from there.
    """
    provider = provider_of(cluster)
    check_at_hand(provider)
    found, _ = rendered(cluster, table)
    folder = cluster_folder(home, cluster.name)
    with folder.held():
        folder.write(cluster, found)
        changes = _plan(provider, folder, cluster, say)
        if changes and not agree():
            return False
        if changes:
            folder.enter("going up")
            provider.up(cluster, folder.path, watch)
        provider.write_context(cluster)
        _apply(provider.objects(cluster, table), provider.context(cluster))
        folder.enter("up")
    return True


def down(folder: ClusterFolder, force: bool, agree: Agree, say: Say, watch: Watch) -> bool:
    """Delete the cluster and all that was made with it; return False if the person does not agree.

    Raises InvalidInput for a protected cluster and, unless by `force`, for one where experiments run; SurrealError with
    the words of the program that failed.
    """
    cluster = folder.cluster()
    provider = provider_of(cluster)
    if cluster.spec.deletion_protection:
        raise InvalidInput(
            f"cluster {cluster.name!r}: is protected. Set deletionProtection: false in its file and "
            "surreal cluster up it, then take it down."
        )
    check_at_hand(provider)
    with folder.held():
        if folder.phase() == "up" and provider.owns_machines:
            api = _api(provider, cluster)
            if not force:
                _refuse_while_running(cluster, api)
            if provider.disks_stay and api:
                _say_disks(api, say)
        changes = provider.plan_down(cluster, folder.path, say)
        if changes and not agree():
            return False
        folder.enter("going down")
        if changes:
            provider.down(cluster, folder.path, watch)
        folder.remove()
    return True


def resources(folder: ClusterFolder) -> int | None:
    """Return how many things the provider's program knows to be there; None if no program counts them."""
    cluster = folder.cluster()
    return provider_of(cluster).resources(cluster, folder.path)


def _files(provider: Provider, cluster: Cluster, table: MachineTable) -> dict[str, str]:
    found = provider.render(cluster, table)
    if objects := provider.objects(cluster, table):
        found[OBJECTS] = {"apiVersion": "v1", "kind": "List", "items": objects}
    return {name: json.dumps(contents, indent=2) + "\n" for name, contents in found.items()}


def _plan(provider: Provider, folder: ClusterFolder, cluster: Cluster, say: Say) -> bool:
    # an interrupted `up` may have made all machines and no Kubernetes object yet
    return provider.plan(cluster, folder.path, say) or folder.phase() == "going up"


def _apply(objects: list[Object], context: str | None) -> None:
    """Make or change objects by server-side apply. Raises SurrealError with the API server's words."""
    apis: dict[str | None, Api] = {}
    for wanted in objects:
        namespace = wanted["metadata"].get("namespace")
        try:
            api = apis.setdefault(namespace, Api.connect(context=context, namespace=namespace))
            api.apply(wanted["kind"], wanted, force=True)
        except ApiError as error:
            name = f"{wanted['kind']} {wanted['metadata']['name']}"
            raise error.plus(f"the machines are there and {name} is not: give the same command again") from None


def _api(provider: Provider, cluster: Cluster) -> Api | None:
    """Return the cluster's API; None if the kubeconfig does not lead there (any more)."""
    try:
        return Api.connect(context=provider.context(cluster))
    except SurrealError:
        return None


def _say_disks(api: Api, say: Say) -> None:
    """Say which disks of volumes stay, and are billed, when the cluster is gone."""
    try:
        disks = lasting_disks(api)
    except SurrealError as error:
        say(f"warning: disks of volumes may stay and be billed; they cannot be listed: {error}")
        return
    if disks:
        say(f"warning: {len(disks)} disks stay when the cluster is gone, and are billed; delete their runs first, or")
        say("delete the disks at the provider:")
    for disk in disks:
        say(f"  {disk}")


def _refuse_while_running(cluster: Cluster, api: Api | None) -> None:
    try:
        if api is None:
            raise InvalidInput("kubeconfig: its context is gone. Write it again by surreal cluster up")
        found = running_experiments(api)
    except SurrealError as error:
        raise InvalidInput(
            f"cluster {cluster.name!r}: cannot tell whether experiments run there: {error}. "
            "Give --force to take it down all the same."
        ) from None
    if found:
        raise InvalidInput(
            f"cluster {cluster.name!r}: still runs {', '.join(found)}. "
            "Stop them first, or give --force to end them with the cluster."
        )


def running_experiments(api: Api) -> list[str]:
    """Return `namespace/name` of each experiment with a pod that waits or runs.

    Raises SurrealError when the cluster does not answer or the user may not look.
    """
    unfinished = "status.phase!=Succeeded,status.phase!=Failed"
    try:
        pods = api.list("Pod", labels=f"{MANAGED_BY}={OWNER}", fields=unfinished, everywhere=True)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        raise ApiError("you may not list the pods of all namespaces", FORBIDDEN) from None
    return sorted({_experiment(pod) for pod in pods})


def _experiment(pod: Object) -> str:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    return f"{metadata['namespace']}/{labels.get(INSTANCE, metadata['name'])}"


def lasting_disks(api: Api) -> list[str]:
    """Return a line for each volume with a disk at a cloud: `lab/cheetah-ppo: 10Gi, vol-0a1b`.

    Deleting the machines of a cluster deletes no disk of a volume. Raises SurrealError when the user may not look.
    """
    found = []
    for volume in api.list("PersistentVolume"):
        disk = text(volume, "spec", "csi", "volumeHandle")
        if disk:
            claim = "/".join(text(volume, "spec", "claimRef", key) for key in ("namespace", "name"))
            size = text(volume, "spec", "capacity", "storage") or "unknown size"
            found.append(f"{claim.strip('/') or name_of(volume)}: {size}, {disk}")
    return sorted(found)
