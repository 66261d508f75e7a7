"""Everything in a live cluster that must be known before the cluster goes: experiments that run, disks that stay."""

from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import FORBIDDEN, ApiError
from surreal.provisioner.kube.kinds import INSTANCE, MANAGED_BY, OWNER, Object


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
