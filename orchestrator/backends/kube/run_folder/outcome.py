"""Outcome of a run that is left as a claim alone, read from its run folder once and then noted on the claim."""

from dataclasses import dataclass

from surreal.orchestrator.backends.kube.names import OUTCOME
from surreal.orchestrator.backends.kube.run_folder.locate import METRICS, folder_of
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot, role_of
from surreal.orchestrator.run.status import TAIL_BYTES, State, progress_of
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress
from surreal.protocol.worker.termination import MAX_BYTES, OUTCOME_FILE, TerminationMessage
from surreal.provisioner.kube.client import Api
from surreal.provisioner.kube.objects import text


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
    state: State = "succeeded" if message.code is ExitCode.DONE else "failed"
    return RunOutcome(state, progress_of((found[METRICS] or b"").splitlines()))
