"""Autoscaling of a run in a cluster: the local supervisor's decisions, followed by the parallelism of a Job.

Indices are those of the largest number, so that each process keeps its name and its keys. Nothing of surreal runs in
the cluster but the pods, so a process outside looks and decides: `surreal scale NAME --auto`, here or as a pod.
"""

import time
from collections.abc import Callable
from itertools import count

from surreal.orchestrator.autoscaling.decision import Autoscaler, Signs
from surreal.orchestrator.autoscaling.signs import TAIL_BYTES, bounds_of, newest_row, scaled_role, signs_of
from surreal.orchestrator.backends.kube import names
from surreal.orchestrator.backends.kube.run_folder.locate import folder_of
from surreal.orchestrator.backends.kube.status import collect as observe
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.backends.kube.status.status import status_of
from surreal.orchestrator.plan.model import PlannedRole
from surreal.orchestrator.run.channel_stats import channels_of
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.kube.client import Api

LOOK_S = 10.0
"""Seconds between two looks."""


def autoscale(api: Api, name: str, say: Callable[[str], None], looks: int | None = None) -> None:
    """Add and remove processes until the run is over, or for so many looks; tell `say` each decision.

    Raises InvalidInput for a run whose numbers are all fixed.
    """
    seen = observe.snapshot(api, name)
    role = scaled_role(seen.plan) if seen.plan else None
    if role is None:
        raise InvalidInput(f"{name}: every number of processes is fixed. Set roles.actor.replicas: {{min, max}}.")
    scaler = Autoscaler(bounds_of(role))
    for number in count():
        if number == looks or status_of(seen).over:
            return
        decision = scaler.look(signs(api, seen, role), time.monotonic())
        if decision is not None:
            set_processes(api, name, role.name, decision.actors)
            say(f"{role.name}: {decision.actors}: {decision.reason}")
        time.sleep(LOOK_S)
        seen = observe.snapshot(api, name)


def signs(api: Api, seen: Snapshot, role: PlannedRole) -> Signs:
    """Return the signs in the run folder, from the pod that has it."""
    assert seen.plan is not None
    ending = next(each.name for each in seen.plan.roles if each.ends_run)
    with folder_of(api, seen) as folder:
        found = folder.tails({"channels.json": TAIL_BYTES * 16, "metrics/metrics.jsonl": TAIL_BYTES})
    channels = channels_of(found["channels.json"] or b"", over=False)
    rows = (found["metrics/metrics.jsonl"] or b"").splitlines()
    return signs_of(seen.plan, role, channels, newest_row(rows, ending), _asked_for(seen, role))


def _asked_for(seen: Snapshot, role: PlannedRole) -> int:
    """Return the pods that the Job of a role runs at once, be they up yet or not."""
    job = next((each for each in seen.jobs if each["metadata"]["name"] == names.job(seen.name, role.name)), {})
    parallelism = job.get("spec", {}).get("parallelism")
    return parallelism if isinstance(parallelism, int) else role.least or role.replicas


def set_processes(api: Api, name: str, role: str, number: int) -> None:
    """Have the Job of a role run so many pods at once, of the completions that it was made for."""
    api.patch("Job", names.job(name, role), {"spec": {"parallelism": number}})
