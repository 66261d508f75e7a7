"""Finding the run folder of an experiment: in the pod of the role that ends the run, in a store, or on the claim."""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from surreal.orchestrator.backends.kube.manifests.network import store_url
from surreal.orchestrator.backends.kube.names import OUTCOME, RUN_FOLDER, WORKER
from surreal.orchestrator.backends.kube.run_folder.folder import RunFolder
from surreal.orchestrator.backends.kube.run_folder.pod_source import PodFiles
from surreal.orchestrator.backends.kube.run_folder.reader_pod import ReaderFiles
from surreal.orchestrator.backends.kube.run_folder.store_source import StoreFiles
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, role_of
from surreal.orchestrator.backends.kube.status.termination import running_since
from surreal.orchestrator.run.channel_stats import ChannelStatus, channels_of, still_of
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import TAIL_BYTES, State, progress_of, progress_of_row
from surreal.protocol.errors import ExitCode, SurrealError
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.worker.termination import MAX_BYTES, OUTCOME_FILE, TerminationMessage
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import condition, dig, name_of, rows, text

LAYOUT = Folder(Path(RUN_FOLDER))
METRICS, CHANNELS, PROGRESS = (
    str(path.relative_to(RUN_FOLDER)) for path in (LAYOUT.metrics_jsonl, LAYOUT.channels, LAYOUT.progress)
)
PROGRESS_BYTES = 64 * 1024
CHANNELS_BYTES = 3 << 20
GLANCE_SECONDS = 5.0
"""A status waits no longer for what only the pod knows."""
LIST_SECONDS, AT_ONCE = 1.0, 16
"""Seconds that a list of many runs waits for their pods, and how many it asks at a time."""
AGAIN_SECONDS, RARELY_SECONDS = 10.0, 160.0
"""Seconds between two tries to look into a pod that has shown nothing: at first, and after many, since each waits."""


def folder_of(api: Api, snapshot: Snapshot) -> RunFolder:
    """Return the run folder, to be read from here; nothing is asked or started before the first file is.

    Raises SurrealError where it is gone or cannot be reached now, and says why.
    """
    pod = writer(snapshot)
    if pod:
        return RunFolder(PodFiles(api, name_of(pod)))
    store = store_url(snapshot.plan) if snapshot.plan else ""
    if store:
        return RunFolder(StoreFiles(store))
    if not snapshot.claim:
        raise SurrealError(_gone(snapshot))
    busy = [each for each in _writers(snapshot) if text(each, "status", "phase") == "Pending"]
    if busy:
        raise SurrealError(
            f"{snapshot.name}: its files are not at hand yet: its pod {name_of(busy[-1])} is starting. Try again soon."
        )
    return RunFolder(ReaderFiles(api, snapshot))


def writer(snapshot: Snapshot) -> Object | None:
    """Return the pod that has the run folder, where its process runs now."""
    return next((pod for pod in reversed(_writers(snapshot)) if runs(pod)), None)


def runs(pod: Object) -> bool:
    """Return whether the process of a pod runs."""
    ours = [each for each in rows(pod, "status", "containerStatuses") if each.get("name") == WORKER]
    return text(pod, "status", "phase") == "Running" and any(dig(each, "state", "running") for each in ours)


def _writers(snapshot: Snapshot) -> list[Object]:
    """Return the pods that have, had or will have the run folder, the newest last."""
    return snapshot.pods_of(snapshot.ends_run).get(0, [])


def _gone(snapshot: Snapshot) -> str:
    name, role = snapshot.name, snapshot.ends_run or "learner"
    job = snapshot.job(snapshot.ends_run)
    over = snapshot.paused or not snapshot.root or any(condition(job, end) for end in ("Complete", "Failed"))
    if not over:
        return f"{name} has no files yet: the pod of its {role} does not run (surreal status {name})"
    return (
        f"metrics, checkpoints and logs of {name} were in its {role}'s pod (spec.storage.kind: emptyDir) and went with "
        "it; spec.storage.className or a url keeps them the next time"
    )


@dataclass(frozen=True)
class Seen:
    """The run as the pod with its folder shows it; all of it unknown where no such pod runs."""

    progress: Progress = Progress()
    channels: tuple[ChannelStatus, ...] = ()
    still: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    """Process -> the seconds for which it has not moved, and where it is."""


class Glance:
    """Reader of a run's progress from its pod, in one question; a failed question is no error but unknown progress.

    A caller that looks again and again keeps it: the connection stays open.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._files: PodFiles | None = None
        self._not_before, self._again = 0.0, AGAIN_SECONDS

    def look(self, snapshot: Snapshot) -> Seen:
        """Return what the writing pod of a run shows."""
        pod = writer(snapshot)
        if self._files and (not pod or self._files.pod != name_of(pod)):
            self.close()
        if not pod or time.monotonic() < self._not_before:
            return Seen()
        self._files = self._files or PodFiles(self._api, name_of(pod), GLANCE_SECONDS)
        try:
            newest, channels = self._files.parts([(PROGRESS, 0, PROGRESS_BYTES), (CHANNELS, 0, CHANNELS_BYTES)])
            progress = _progress_in(newest) or self._from_metrics(self._files)
        except SurrealError:
            self.close()
            self._not_before = time.monotonic() + self._again
            self._again = min(RARELY_SECONDS, 2 * self._again)
            return Seen()
        self._again = AGAIN_SECONDS
        now, written, since = self._files.time, channels or b"", running_since(pod)
        still = still_of(written, now, f"{snapshot.ends_run}/0")
        known = progress.seen_at(now, since.timestamp() if since else None)
        return Seen(known, channels_of(written, False, now), still)

    def _from_metrics(self, files: PodFiles) -> Progress:
        """Return the progress of a run whose image writes no progress.json, from the end of its metrics."""
        metrics = files.parts([(METRICS, -TAIL_BYTES, TAIL_BYTES)])[0]
        return progress_of((metrics or b"").splitlines())

    def close(self) -> None:
        """End the process in the pod."""
        if self._files:
            self._files.close()
        self._files = None


def glances(api: Api, snapshots: Sequence[Snapshot]) -> list[Seen]:
    """Return what the pods of many runs show, of those that answer within LIST_SECONDS."""
    busy = [each for each in snapshots if writer(each)]
    if not busy:
        return [Seen()] * len(snapshots)
    pool = ThreadPoolExecutor(min(len(busy), AT_ONCE))
    asked = {each.name: pool.submit(_once, api, each) for each in busy}
    wait(asked.values(), LIST_SECONDS)
    # those that are late end by themselves, after GLANCE_SECONDS at most
    pool.shutdown(wait=False, cancel_futures=True)
    shown = {name: each.result() for name, each in asked.items() if each.done() and not each.cancelled()}
    return [shown.get(each.name, Seen()) for each in snapshots]


def _once(api: Api, snapshot: Snapshot) -> Seen:
    glance = Glance(api)
    try:
        return glance.look(snapshot)
    finally:
        glance.close()


def _progress_in(data: bytes | None) -> Progress | None:
    try:
        return progress_of_row(json.loads(data or b""))
    except ValueError:
        return None


@dataclass(frozen=True)
class RunOutcome:
    """End of a run, in its own words."""

    state: State
    progress: Progress


def read_outcome(api: Api, seen: Snapshot) -> RunOutcome | None:
    """Return what the run folder says of the end; None where it is known, or nothing says it.

    Starts a pod that reads the claim. Raises SurrealError if that does not work.
    """
    at_work = seen.jobs or any(role_of(pod) for pod in seen.pods)
    if seen.root or at_work or not seen.claim or text(seen.claim, "metadata", "annotations", OUTCOME):
        return None
    with folder_of(api, seen) as folder:
        found = folder.tails({OUTCOME_FILE: MAX_BYTES + 1, METRICS: TAIL_BYTES})
    message = TerminationMessage.parse((found[OUTCOME_FILE] or b"").decode(errors="replace"))
    if not message:
        return None
    ended: dict[ExitCode, State] = {ExitCode.DONE: "succeeded", ExitCode.STOPPED: "stopped"}
    state = ended.get(message.code, "failed")
    return RunOutcome(state, progress_of((found[METRICS] or b"").splitlines()))
