"""The status of an experiment, worked out from what the cluster says of its objects: a pure function of a Snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from surreal.orchestrator.backends.kube.names import (
    ATTEMPT,
    FAILED,
    FAILURES,
    IGNORED,
    OUTCOME,
    PROGRESS,
    RUN_FOLDER,
    STOPPED,
)
from surreal.orchestrator.backends.kube.names import job as job_name
from surreal.orchestrator.backends.kube.status import termination as ends
from surreal.orchestrator.backends.kube.status.causes.pod_creation import waits_for_admission
from surreal.orchestrator.backends.kube.status.explain import reasons
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, role_of
from surreal.orchestrator.backends.restart_policy import feeds_the_run
from surreal.orchestrator.plan.model import Plan, PlannedRole
from surreal.orchestrator.run.channel_stats import ChannelStatus
from surreal.orchestrator.run.status import (
    OUTCOMES,
    ProcessState,
    ProcessStatus,
    State,
    Status,
    progress_of,
    running_reason,
    with_goal,
)
from surreal.protocol.errors import ExitCode
from surreal.protocol.graph import ProcessName
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import clip, condition, dig, members, moment, number, text

OUR_LABELS = ("app.kubernetes.io/", "surreal.dev/")
"""Beginnings of the labels that surreal sets."""
CREATING = 120.0
"""Seconds after which a creation that is not done counts as interrupted; it takes a few."""


def status_of(
    snapshot: Snapshot,
    progress: Progress | None = None,
    channels: Sequence[ChannelStatus] = (),
    still: Mapping[str, tuple[float, str]] | None = None,
) -> Status:
    """Return one run as it is now. Without `progress` the last words of its last pod tell it.

    `still` are the seconds for which processes have not moved, and where each is.
    """
    why = reasons(snapshot)
    state, reason = _state(snapshot)
    if progress is None or state in OUTCOMES:
        # Figures of a process that does not run say how far it came, and nothing of a speed.
        progress = replace(progress or last_progress(snapshot) or Progress(), steps_per_second=None, progress_age=None)
    stuck = stuck_processes(snapshot, still or {}) if state == "running" else {}
    if state in ("pending", "running") and not reason:
        why = {**_without_jobs(snapshot), **why}
        said = [running_reason(progress, stuck.items()), *_sentences(why)]
        reason = "\n".join(filter(None, said))
    roles = {role: _processes(snapshot, role, why.get(role, ""), state, stuck) for role in snapshot.roles}
    created = moment(snapshot.root or snapshot.claim, "metadata", "creationTimestamp")
    status = Status(
        snapshot.name,
        "kube",
        _folder(snapshot),
        state,
        reason,
        created.isoformat() if created else "",
        progress,
        roles,
        tuple(channels),
        snapshot.plan.labels if snapshot.plan else _own_labels(snapshot.claim),
    )
    return with_goal(status, snapshot.plan.config) if snapshot.plan else status


def _sentences(why: Mapping[str, str]) -> list[str]:
    """Return the sentences with their roles, each once: `learner, actor: waits in queue research`."""
    roles: dict[str, list[str]] = {}
    for role, sentence in why.items():
        roles.setdefault(sentence, []).append(role)
    return [f"{', '.join(names)}: {sentence}" for sentence, names in roles.items()]


def _own_labels(claim: Object | None) -> dict[str, str]:
    """Return the labels of the experiment file, which its claim has beside ours."""
    every: dict[str, str] = dig(claim, "metadata", "labels") or {}
    return {key: value for key, value in every.items() if not key.startswith(OUR_LABELS)}


def stuck_processes(snapshot: Snapshot, still: Mapping[str, tuple[float, str]]) -> dict[str, str]:
    """Return process -> where it stands still, of those whose pods have run for as long as that."""
    found = {}
    for name, (seconds, where) in still.items():
        process = ProcessName.find(name)
        pods = snapshot.pods_of(process.role).get(process.index, []) if process else []
        began = ends.running_since(pods[-1]) if pods else None
        if began and (snapshot.taken - began).total_seconds() >= seconds:
            found[name] = where
    return found


def _without_jobs(snapshot: Snapshot) -> dict[str, str]:
    """Return role -> sentence for roles whose Job was removed while the run goes on: Kubernetes makes no new one."""
    if not snapshot.created or snapshot.jobset or not snapshot.jobs:
        return {}
    again = f"surreal stop {snapshot.name}, then surreal resume {snapshot.name}, makes it again"
    gone = [role for role in snapshot.roles if snapshot.job(role) is None]
    return {role: f"its Job {job_name(snapshot.name, role)} is gone: {again}" for role in gone}


def last_progress(snapshot: Snapshot) -> Progress | None:
    """Return the progress that the newest pod of the role that ends the run reported at its end.

    A stopped run has no pods: its progress is noted on the root or the claim. None if neither tells.
    """
    pods = [pod for each in snapshot.pods_of(snapshot.ends_run).values() for pod in each]
    said = [ends.words_of(pod).progress for pod in reversed(pods)]
    noted = [text(each, "metadata", "annotations", PROGRESS) for each in (snapshot.root, snapshot.claim)]
    known = (*said, *(progress_of([row.encode()]) for row in noted))
    return next((each for each in known if each and each != Progress()), None)


def _folder(snapshot: Snapshot) -> str:
    """Return the place of metrics and checkpoints, by its name in the cluster."""
    storage = snapshot.plan.storage if snapshot.plan else None
    if storage and storage.kind == "url":
        return storage.url
    if snapshot.claim:
        return f"pvc/{snapshot.name} in namespace {snapshot.namespace}"
    return f"{RUN_FOLDER} in the pod of {snapshot.ends_run or 'the learner'}"


def _state(snapshot: Snapshot) -> tuple[State, str]:
    """Return the state of the run, and why where its roles do not say."""
    if snapshot.root is None:
        return _without_root(snapshot)
    if snapshot.plan is None:
        return "failed", f"its plan is another version's; use that one, or surreal delete {snapshot.name}"
    outcome = _outcome(snapshot)
    if outcome:
        return outcome
    if snapshot.leaving:
        ended = f"surreal delete {snapshot.name} ends it at once"
        return "stopped", f"namespace {snapshot.namespace} is being removed, and the run with it; {ended}"
    if not snapshot.created:
        return "pending", _being_created(snapshot)
    if _stopping(snapshot):
        return _stopped(snapshot)
    if not snapshot.jobs and not snapshot.jobset:
        again = f"surreal resume {snapshot.name} goes on, surreal delete {snapshot.name} ends it"
        return "pending", f"its Jobs are gone: it is being resumed or deleted, or that was interrupted; {again}"
    return ("running" if _runs(snapshot, snapshot.ends_run) else "pending"), ""


def _without_root(snapshot: Snapshot) -> tuple[State, str]:
    """Return the state of a run whose root is gone, by `delete` or some time after its end; the claim stays."""
    # a pod without a role only reads the results
    pods = [pod for pod in snapshot.pods if role_of(pod)]
    if snapshot.jobs or pods:
        return "stopped", f"it is being deleted; Jobs left: {len(snapshot.jobs)}, pods: {len(pods)}"
    kept = f"its claim keeps metrics, logs and checkpoints (surreal delete {snapshot.name} removes it)"
    noted = text(snapshot.claim, "metadata", "annotations", OUTCOME)
    for state in OUTCOMES:
        if state == noted:
            return state, f"its objects are gone; {kept}"
    unknown = f"its objects are gone, and its end was not seen: surreal wait {snapshot.name} reads it from the claim"
    return "stopped", f"{unknown}; {kept}"


def _being_created(snapshot: Snapshot) -> str:
    delete = f"surreal delete {snapshot.name}"
    if number(snapshot.root, "metadata", "annotations", ATTEMPT) > 1:
        return f"it is being resumed, or that was interrupted: surreal resume {snapshot.name} goes on, {delete} ends it"
    made = moment(snapshot.root, "metadata", "creationTimestamp")
    if made and (snapshot.taken - made).total_seconds() < CREATING:
        return "it is being created"
    return f"its creation was interrupted: surreal create it again, or {delete}"


def _stopping(snapshot: Snapshot) -> bool:
    """Return whether it was told to stop, by `surreal stop` or by a person who suspended its Jobs."""
    told = bool(text(snapshot.root, "metadata", "annotations", STOPPED))
    return told or (snapshot.paused and not waits_for_admission(snapshot))


def _stopped(snapshot: Snapshot) -> tuple[State, str]:
    pods = [pod for pod in snapshot.pods if role_of(pod) in snapshot.roles]  # others only read its results
    left = [pod for pod in pods if text(pod, "status", "phase") in ("Pending", "Running")]
    if left:
        return "running", f"it is being stopped: {len(left)} pod{'s' if len(left) > 1 else ''} still to end"
    return "stopped", ""


def _outcome(snapshot: Snapshot) -> tuple[State, str] | None:
    """Return how the run ended, by the role that ends it or by a needed one; None while it goes on."""
    assert snapshot.plan is not None
    ending = snapshot.ends_run
    job = snapshot.job(ending)
    if condition(job, "Complete") or condition(snapshot.jobset, "Completed"):
        return "succeeded", ""
    if condition(job, "Failed"):
        limit = _limit(snapshot, ending)
        return ("stopped", limit) if limit else ("failed", _failure(snapshot, ending))
    if ended := text(snapshot.root, "metadata", "annotations", FAILED):
        return "failed", ended
    for role in snapshot.plan.roles:
        if condition(snapshot.job(role.name), "Failed") and needed(snapshot.plan, role):
            rest = f"\nsurreal stop {snapshot.name} ends the rest" if _runs(snapshot, ending) else ""
            return "failed", _failure(snapshot, role.name) + rest
    broken = condition(snapshot.jobset, "Failed")
    return ("failed", f"its JobSet failed: {clip(text(broken, 'message'))}") if broken else None


def _limit(snapshot: Snapshot, role: str) -> str:
    """Return the limit at which the process that ends the run has stopped it; empty for any other end."""
    pods = snapshot.pods_of(role).get(0, [])
    stopped = [pod for pod in pods if ends.exit_code(pod) == ExitCode.STOPPED]
    return ends.words_of(stopped[-1]).reason if stopped else ""


def needed(plan: Plan, role: PlannedRole) -> bool:
    """Return whether the run needs the role: it feeds the run, or is not expendable. Local runs have the same rule."""
    return not role.expendable or feeds_the_run(plan, role.name)


def _failure(snapshot: Snapshot, role: str) -> str:
    """Return why a role's Job failed, in its last failed pod's words, else in those of Kubernetes."""
    planned = snapshot.plan.role(role) if snapshot.plan else None
    failed = [(index, pod) for index, pods in snapshot.pods_of(role).items() for pod in pods if ends.is_failure(pod)]
    if failed:
        index, pod = failed[-1]
        failures = number(pod, "metadata", "annotations", FAILURES) + 1
        often = f" ({failures} times)" if failures > 1 else ""
        return f"{role}/{index} {ends.how_it_ended(pod, planned, role)}{often}"
    said = condition(snapshot.job(role), "Failed")
    return f"the Job of {role} failed: {clip(text(said, 'message')) or text(said, 'reason') or 'without a reason'}"


def _runs(snapshot: Snapshot, role: str) -> bool:
    """Return whether any process of the role runs or ran."""
    pods = [pod for each in snapshot.pods_of(role).values() for pod in each]
    return any(text(pod, "status", "phase") != "Pending" for pod in pods)


def _processes(
    snapshot: Snapshot, role: str, why: str, run: State, stuck: Mapping[str, str]
) -> tuple[ProcessStatus, ...]:
    job = snapshot.job(role)
    planned = snapshot.plan.role(role).replicas if snapshot.plan else number(job, "spec", "completions")
    done = members(text(job, "status", "completedIndexes"), planned)
    failed = members(text(job, "status", "failedIndexes"), planned)
    pods = snapshot.pods_of(role)
    found, ending = [], _stopping(snapshot)
    for index in range(planned):
        process = _process(index, pods.get(index, []), ending)
        if index in done:
            process = replace(process, state="done")
        elif index in failed or (condition(job, "Failed") and process.state == "restarting"):
            process = replace(process, state="failed")
        elif (ending or run in OUTCOMES) and process.state in ("pending", "restarting"):
            process = replace(process, state="stopped")
        waits = process.state in ("pending", "restarting")
        found.append(replace(process, reason=why if waits else stuck.get(f"{role}/{index}", "")))
    return tuple(found)


def _process(index: int, pods: Sequence[Object], ending: bool) -> ProcessStatus:
    """Return one process from its pods, the newest last. A pod that ends is replaced unless the run is `ending`."""
    if not pods:
        return ProcessStatus(index, "pending", 0, None, "")
    pod = pods[-1]
    given = sum(number(pod, "metadata", "annotations", each) for each in (FAILURES, IGNORED))
    restarts = max(given, len(pods) - 1)
    state = _process_state(pod, restarts, ending)
    node = text(pod, "spec", "nodeName") if state == "running" else ""
    return ProcessStatus(index, state, restarts, None, node)


def _process_state(pod: Object, restarts: int, ending: bool) -> ProcessState:
    phase = text(pod, "status", "phase")
    if phase == "Succeeded":
        return "done"
    if phase == "Failed" or (dig(pod, "metadata", "deletionTimestamp") and not ending):
        return "restarting"
    if phase == "Running":
        return "running"
    return "restarting" if restarts else "pending"
