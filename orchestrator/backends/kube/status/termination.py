"""Ends of pods, as one sentence each: out of memory, evicted, or crashed with its last words."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from surreal.orchestrator.backends.kube.names import WORKER
from surreal.orchestrator.backends.restart_policy import describe
from surreal.orchestrator.plan.model import PlannedRole
from surreal.protocol.documents.quantity import format_size
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.worker.termination import LAST_WORDS, TerminationMessage
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import clip, condition, dig, moment, name_of, number, rows, text
from surreal.provisioner.kube.resources import quantity

SIGNALS, MAX_SIGNAL = 128, 64
"""A container that a signal ended exits with SIGNALS and the signal's number, at most MAX_SIGNAL."""
WRONG_IMAGE = "exec format error"
"""The runtime's words for a program of another architecture."""
COUNTS = ("steps", "total_steps", "updates")
"""Fields of a Progress that are whole numbers."""
DISRUPTIONS = {
    "PreemptionByScheduler": "preempted for pods of a higher priority",
    "EvictionByEvictionAPI": "evicted, as when a node is drained",
    "DeletionByTaintManager": "its node is lost or drained",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "ended by its node, which is short of memory or disk or shuts down",
}
"""Reason of the condition DisruptionTarget -> what happened; none of it counts as a failure."""


@dataclass(frozen=True)
class Words:
    """Content of a process's termination message."""

    reason: str = ""
    progress: Progress | None = None


def ended_container(pod: Object) -> Object | None:
    """Return the container that ended a pod: an init container that failed, or surreal's own."""
    for each in rows(pod, "status", "initContainerStatuses"):
        if number(each, "state", "terminated", "exitCode"):
            return each
    ours = (each for each in rows(pod, "status", "containerStatuses") if each.get("name") == WORKER)
    return next((each for each in ours if dig(each, "state", "terminated")), None)


def running_since(pod: Object) -> datetime | None:
    """Return when the process of a pod was started; None where it does not run."""
    ours = next((each for each in rows(pod, "status", "containerStatuses") if each.get("name") == WORKER), None)
    return moment(ours, "state", "running", "startedAt")


def exit_code(pod: Object) -> int | None:
    """Return the exit code of a pod's process; None while it runs, or if the node was lost with it."""
    ended = ended_container(pod)
    return None if ended is None else number(ended, "state", "terminated", "exitCode")


def words_of(pod: Object) -> Words:
    """Return the last words of a process: the line of a worker, or the last line of what anything else left."""
    message = text(ended_container(pod), "state", "terminated", "message")
    ending = TerminationMessage.parse(message)
    if ending is None:
        return Words(_last_line(message))
    known = {key: value for key, value in ending.progress.items() if key in Progress.__dataclass_fields__}
    numbers: dict[str, Any] = {
        key: int(value) if key in COUNTS else value for key, value in known.items() if math.isfinite(value)
    }
    said = ending.reason.rpartition(LAST_WORDS)[2]
    # a crash leaves the end of its output, anything else a sentence
    reason = clip(said) if ending.code is not ExitCode.FAILED else _last_line(said)
    return Words(reason, Progress(**numbers) if numbers else None)


def disruption(pod: Object) -> str:
    """Return why the cluster took a pod away; empty if it did not."""
    target = condition(pod, "DisruptionTarget")
    if target is None and text(pod, "status", "reason") not in ("Evicted", "NodeLost", "Terminated", "Shutdown"):
        return ""
    happened = DISRUPTIONS.get(text(target, "reason"), "evicted")
    message = text(pod, "status", "message") or (
        "" if text(target, "reason") in DISRUPTIONS else text(target, "message")
    )
    return happened + (f" ({clip(message)})" if message else "")


def how_it_ended(pod: Object, role: PlannedRole | None, name: str) -> str:
    """Write one sentence on a pod that has ended, with advice; `name` is the role's."""
    ended = ended_container(pod)
    container, cause = text(ended, "name"), text(ended, "state", "terminated", "reason")
    if cause == "OOMKilled":
        return f"OOMKilled{_memory_limit(pod, role)}; raise spec.roles.{name}.resources.memory"
    taken = disruption(pod)
    if taken:
        return taken
    if ended is None:
        reason = text(pod, "status", "message") or text(pod, "status", "reason") or "its node said nothing more"
        return f"its pod {name_of(pod)} failed: {clip(reason)}"
    said = words_of(pod).reason
    code = number(ended, "state", "terminated", "exitCode")
    if WRONG_IMAGE in said or WRONG_IMAGE in text(ended, "state", "terminated", "message"):
        return (
            f"its image {text(ended, 'image')} is of another processor architecture than node "
            f"{text(pod, 'spec', 'nodeName')}: build it with surreal image build --platform, or choose another pool"
        )
    if cause in ("StartError", "ContainerCannotRun"):
        return f"its program did not start: {said}; check the image"
    what = describe(SIGNALS - code if SIGNALS < code <= SIGNALS + MAX_SIGNAL else code)
    if container != WORKER:
        what = f"init container {container} {what}"
    return what + (f": {said}" if said else "")


def _memory_limit(pod: Object, role: PlannedRole | None) -> str:
    """Write `: limit 40 MiB` from the container, since admission may have lowered the plan's; empty if unknown."""
    ours = (each for each in rows(pod, "spec", "containers") if each.get("name") == WORKER)
    said = next((text(each, "resources", "limits", "memory") for each in ours), "")
    limit = quantity(said) if said else (role.resources.memory if role else None)
    return "" if limit is None else f": limit {format_size(int(limit))}"


def is_failure(pod: Object) -> bool:
    """Return whether this end counts against the process: no success, no preemption, nothing that the cluster did."""
    if text(pod, "status", "phase") != "Failed" or disruption(pod):
        return False
    return exit_code(pod) not in (ExitCode.DONE, ExitCode.PREEMPTED)


def _last_line(words: str) -> str:
    lines = words.split("\n")
    return clip(next((line for line in reversed(lines) if line.strip()), ""))
