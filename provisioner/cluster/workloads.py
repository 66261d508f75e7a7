"""Everything in a live cluster that must be known before the cluster goes: experiments that run, disks that stay."""

from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object
from surreal.provisioner.kube.objects import name_of, text


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
