"""CPU and memory of the pods of a run, as the cluster's metrics-server last saw them."""

from surreal.orchestrator.backends.kube.names import WORKER, query, selector
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, index_of, role_of
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.run.usage import Usage, Used, usage_of
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import Absent, ApiError
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import dig, name_of, rows
from surreal.provisioner.kube.resources import quantity

CHANNELS = "the numbers of the channels are known all the same"
NO_SERVER = f"this cluster has no metrics-server, so CPU and memory are not known; {CHANNELS}"


def usage(api: Api, snapshot: Snapshot, status: Status) -> Usage:
    """Return what the pods use beside what they asked for. A note says why a number is not known."""
    try:
        metrics = api.list("PodMetrics", query(selector(snapshot.name)))
    except Absent:
        return usage_of(status, snapshot.plan, {}, NO_SERVER)
    except ApiError as error:
        return usage_of(status, snapshot.plan, {}, f"CPU and memory are not known: {error}; {CHANNELS}")
    # a pod that is gone may be in there for a while
    of_pod = {name_of(each): _used(each) for each in metrics}
    used = {(role_of(pod), index_of(pod)): of_pod[name_of(pod)] for pod in snapshot.pods if name_of(pod) in of_pod}
    unseen = snapshot.pods and not used
    note = "the metrics-server has not seen its pods yet, which takes up to a minute" if unseen else ""
    return usage_of(status, snapshot.plan, used, note)


def _used(metrics: Object) -> Used:
    """Return the use of the container that runs the process."""
    for each in rows(metrics, "containers"):
        if each.get("name") == WORKER:
            cpu, memory = dig(each, "usage", "cpu"), dig(each, "usage", "memory")
            return Used(round(quantity(str(cpu)), 3), int(quantity(str(memory))))
    return Used()
