"""State of a run that KubeRay starts: of its RayJob and pods, and of the run folder on its head."""

import base64
import hashlib
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from surreal.orchestrator.backends.kube.kuberay import names
from surreal.orchestrator.backends.kube.kuberay.lifecycle import CLAIM, JOB
from surreal.orchestrator.backends.kube.names import CREATED, PROGRESS, STOPPED, query
from surreal.orchestrator.backends.kube.run_folder.folder import RunFolder
from surreal.orchestrator.backends.kube.run_folder.locate import GLANCE_SECONDS, runs
from surreal.orchestrator.backends.kube.run_folder.pod_source import PodFiles
from surreal.orchestrator.backends.kube.run_folder.reader_pod import ReaderFiles
from surreal.orchestrator.backends.kube.status.snapshot import INDEX, Snapshot, role_of
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.code_archive import Code
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import ProcessStatus, State, Status, progress_of, with_goal
from surreal.orchestrator.supervision.observe import status_of
from surreal.protocol.errors import NotFound, SurrealError, did_you_mean
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.errors import AbsentError
from surreal.provisioner.kube.kinds import MANAGED_BY, Object
from surreal.provisioner.kube.objects import clip, condition, dig, name_of, rows, text

SMALL_FILES = ("status.json", "progress.json", "channels.json", "run.json", "plan.json")
"""Files of the run folder from which a status is told."""
MOST_BYTES = 4 << 20
METRICS_SECONDS = 5.0
ENDED: dict[str, State] = {"Complete": "succeeded", "Failed": "failed", "ValidationFailed": "failed"}
"""KubeRay's words for the end of a RayJob."""


@dataclass(frozen=True)
class Seen:
    """The objects of one run."""

    job: Object
    plan: Plan
    experiment: str
    pods: tuple[Object, ...]
    claim: Object | None

    @property
    def head(self) -> Object | None:
        """The pod that has the run folder, where its Ray runs."""
        found = (
            pod for pod in self.pods if role_of(pod) == names.HEAD and not dig(pod, "metadata", "deletionTimestamp")
        )
        return next((pod for pod in found if runs(pod)), None)


def look(api: Api, name: str) -> Seen:
    """Read the objects of a run. Raises NotFound with the nearest name."""
    job = api.find(JOB, name)
    if text(job, "metadata", "labels", MANAGED_BY) != names.OWNER:
        known = names_of(api)
        listing = f"There are: {', '.join(known)}." if known else "There are none."
        raise NotFound(
            f"no experiment {name!r} with --engine ray in namespace {api.namespace}{did_you_mean(name, known)}. "
            f"{listing}"
        )
    assert job
    documents = api.find("ConfigMap", names.documents(name))
    try:
        plan = Plan.from_json(text(documents, "data", names.PLAN_KEY))
    except ValueError:
        raise SurrealError(
            f"{name}: its creation was interrupted, or its plan is of another version of surreal. Create it again with "
            f"the same file, or surreal delete {name} --engine ray"
        ) from None
    pods = api.list("Pod", query(names.selector(name)))
    return Seen(job, plan, text(documents, "data", names.EXPERIMENT_KEY), tuple(pods), api.find(CLAIM, name))


def names_of(api: Api) -> list[str]:
    """Return the runs of the namespace, sorted; none where KubeRay is not installed."""
    try:
        return sorted(name_of(each) for each in api.list(JOB, query({MANAGED_BY: names.OWNER})))
    except AbsentError:
        return []


def status(api: Api, seen: Seen) -> Status:
    """Return the state of a run. Writes nothing."""
    name, marks = name_of(seen.job), dig(seen.job, "metadata", "annotations") or {}
    state, reason = _outcome(seen)
    inside = _inside(api, seen) if seen.head and state in ("pending", "running") else None
    if inside and inside.roles:
        # one that is over is not yet over for KubeRay, and its word is the newer one
        return replace(inside, folder=_place(api, name))
    waiting = tuple((role.name, role.replicas) for role in seen.plan.roles)
    kind = "done" if state == "succeeded" else state
    roles = {role: tuple(ProcessStatus(index, kind, 0, None, "") for index in range(count)) for role, count in waiting}
    progress = replace(progress_of([marks.get(PROGRESS, "").encode()]), steps_per_second=None, progress_age=None)
    created = marks.get(CREATED, "")
    found = Status(name, "kube", _place(api, name), state, reason, created, progress, roles, (), seen.plan.labels)
    return with_goal(found, seen.plan.config)


def keep_progress(api: Api, seen: Seen, found: Status) -> None:
    """Note on the RayJob how far a run is, for the time in which no pod of it can say so."""
    if found.progress.steps:
        noted = {PROGRESS: json.dumps(asdict(found.progress))}
        api.patch(JOB, name_of(seen.job), {"metadata": {"annotations": noted}})


@contextmanager
def folder_of(api: Api, seen: Seen) -> Iterator[RunFolder]:
    """Open the run folder: on the head, or on the claim, by a pod that reads it. Raises SurrealError without any."""
    if not seen.head and _outcome(seen)[0] in ("pending", "running"):
        name = name_of(seen.job)
        raise SurrealError(
            f"{name}: its files are not at hand, since no head runs now. Look why: surreal status {name}."
        )
    if seen.head:
        source: PodFiles | ReaderFiles = PodFiles(api, name_of(seen.head))
    elif seen.claim:
        source = ReaderFiles(api, snapshot(api, seen, None))
    else:
        raise SurrealError(
            f"{name_of(seen.job)}: its files were on its head's own disk, and no head runs. "
            "Keep them the next time by spec.storage.className."
        )
    with RunFolder(source) as found:
        yield found


@contextmanager
def metrics_folder(api: Api, seen: Seen) -> Iterator[Path]:
    """Provide a copy of the metrics, brought up to date every few seconds while a head runs."""
    closing = threading.Event()
    with tempfile.TemporaryDirectory(prefix="surreal-") as kept, folder_of(api, seen) as folder:
        copy = Folder(Path(kept))
        copy.metrics.mkdir()
        folder.mirror(copy.path, "metrics/")

        def keep_up() -> None:
            while seen.head and not closing.wait(METRICS_SECONDS):
                with suppress(SurrealError):
                    folder.mirror(copy.path, "metrics/")

        thread = threading.Thread(target=keep_up, daemon=True)
        thread.start()
        try:
            yield copy.metrics
        finally:
            closing.set()
            thread.join()


def code_of(api: Api, seen: Seen) -> Code | None:
    """Return the code that a run was created with; None where it brought none."""
    for each in api.list("ConfigMap", query(names.selector(name_of(seen.job)))):
        if encoded := dig(each, "binaryData", names.CODE_KEY):
            data = base64.b64decode(encoded)
            return Code(hashlib.sha256(data).hexdigest(), data, files=0, bytes=0, left_out=0)
    return None


def snapshot(api: Api, seen: Seen, found: Status | None) -> Snapshot:
    """Return the run as the code for pods of Jobs sees one: each pod with the index of the process that it runs."""
    index_at: dict[str, tuple[str, int]] = {}
    for role, processes in (found.roles if found else {}).items():
        index_at |= {each.node.partition(" ")[0]: (role, each.index) for each in processes if each.node}
    pods = tuple(_indexed(pod, index_at) for pod in seen.pods if role_of(pod) != names.HEAD)
    name = name_of(seen.job)
    return Snapshot(name, api.namespace, datetime.now(UTC), seen.job, seen.plan, pods=pods, claim=seen.claim)


def _indexed(pod: Object, index_at: dict[str, tuple[str, int]]) -> Object:
    role, index = index_at.get(text(pod, "status", "podIP"), ("", -1))
    at = index if role == role_of(pod) else -1
    marks = {**(dig(pod, "metadata", "annotations") or {}), INDEX: str(at)}
    return {**pod, "metadata": {**pod["metadata"], "annotations": marks}}


def _outcome(seen: Seen) -> tuple[State, str]:
    """Return what KubeRay says of the run, and why."""
    told = dig(seen.job, "status") or {}
    phase, words = (
        text(told, "jobDeploymentStatus"),
        ": ".join(filter(None, (text(told, "reason"), text(told, "message")))),
    )
    stopped = text(seen.job, "metadata", "annotations", STOPPED)
    if phase in ENDED:
        failed = text(told, "jobStatus") in ("FAILED", "STOPPED")
        return ("failed", clip(words)) if failed or ENDED[phase] == "failed" else ("succeeded", "")
    if stopped or phase in ("Suspending", "Suspended") and not seen.plan.queue:
        return "stopped", ""
    if phase == "Running":
        return "running", clip(words)
    if dig(seen.job, "spec", "suspend"):
        return "pending", "waits for its queue" if seen.plan.queue else "its creation was interrupted: create it again"
    return "pending", _why_waiting(seen) if phase else "KubeRay's operator has not looked at it yet: is it running?"


def _why_waiting(seen: Seen) -> str:
    """Return what the first pod that does not run waits for."""
    for pod in seen.pods:
        unplaced = condition(pod, "PodScheduled", "False")
        stuck = [dig(each, "state", "waiting") for each in rows(pod, "status", "containerStatuses")]
        told = [each for each in (unplaced, *stuck) if text(each, "message")]
        if told:
            return clip(f"{role_of(pod)}: {text(told[0], 'reason')}: {text(told[0], 'message')}")
    return "its Ray cluster is starting" if seen.pods else "KubeRay makes its pods"


def _inside(api: Api, seen: Seen) -> Status | None:
    """Return what the supervisor on the head has written; None where that cannot be read."""
    name = name_of(seen.job)
    with tempfile.TemporaryDirectory(prefix="surreal-") as kept, suppress(SurrealError):
        copy = Folder(Path(kept, name))
        copy.path.mkdir()
        files = PodFiles(api, name_of(seen.head), GLANCE_SECONDS)
        try:
            found = files.parts([(each, 0, MOST_BYTES) for each in SMALL_FILES])
        finally:
            files.close()
        for file, data in zip(SMALL_FILES, found, strict=True):
            if data is not None:
                Path(copy.path, file).write_bytes(data)
        return status_of(copy, "kube", lambda: True)
    return None


def _place(api: Api, name: str) -> str:
    return f"{api.namespace}/{name}"
