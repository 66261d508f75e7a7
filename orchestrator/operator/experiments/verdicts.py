"""Verdicts on Experiments that have no run to look at, and the events that a change of a status is worth."""

from dataclasses import dataclass
from typing import Any

from surreal.orchestrator.backends.kube.names import OUTCOME
from surreal.orchestrator.backends.kube.status.snapshot import Snapshot
from surreal.orchestrator.operator.experiments.desired import unknown_keys
from surreal.orchestrator.operator.experiments.report import Verdict
from surreal.orchestrator.run.describe import numberless
from surreal.orchestrator.run.status import OUTCOMES, Status
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import number, text

Told = tuple[str, str, bool]
"""An event: its reason in one word, its message, whether it is a warning."""
HOPELESS = ("Invalid",)
"""Refusals that only another spec lifts."""
UNKNOWN = ("NoAnswer", "Fault")
"""Troubles that say nothing of the spec."""


@dataclass(frozen=True)
class Outcome:
    """Result of a reconciliation, and the seconds until the next one."""

    verdict: Verdict
    run: Status | None = None
    again: float | None = None
    told: tuple[Told, ...] = ()


def refused(resource: Object, code: str, reason: str, again: float | None) -> Outcome:
    """Return the outcome of a spec that cannot be followed; a run that is there keeps its state."""
    old = resource.get("status") or {}
    kept = text(old, "state") if text(old, "run") else "failed" if code in HOPELESS else "pending"
    accepted = None if code in UNKNOWN else False
    return Outcome(Verdict(kept or "pending", accepted=accepted, refusal=reason, code=code), again=again)


def changing(resource: Object, reason: str) -> Verdict:
    """Return the verdict on an Experiment whose objects change while they are looked at."""
    state = text(resource, "status", "state") or "pending"
    return Verdict(state, accepted=None, refusal=reason, code="Changing")


def over(resource: Object, seen: Snapshot | None) -> Outcome:
    """Return the state of an Experiment whose run was removed, by its TTL or by a person: it is not made again."""
    old = text(resource, "status", "state")
    noted = text(seen.claim, "metadata", "annotations", OUTCOME) if seen else ""
    state = noted or (old if old in OUTCOMES else "stopped")
    reason = text(resource, "status", "reason")
    if state == "stopped" and old not in OUTCOMES:
        reason = "its objects were removed and its end was not seen; delete the experiment and apply it to run it anew"
    return Outcome(Verdict(state, reason, code="Removed", replicas=0))


def news(old: Object, new: Object, verdict: Verdict) -> list[Told]:
    """Return the events that a change of the status is worth."""
    said = str(old.get("reason") or "")
    told = [(verdict.code, verdict.refusal, True)] if verdict.refusal and not said.startswith(verdict.refusal) else []
    return told if verdict.refusal and not verdict.run else [*told, *_of_the_run(old, new, verdict)]


def _of_the_run(old: Object, new: Object, verdict: Verdict) -> list[Told]:
    """Return the events on what is new of a run that is there."""
    if not old.get("state") and new["state"] == "pending" and not verdict.reason:
        return []  # what was made is told already
    if old.get("state") != new["state"]:
        said = verdict.reason or f"the run is {new['state']}"
        return [(str(new["state"]).capitalize(), said, new["state"] == "failed")]
    known = {numberless(line) for line in str(old.get("reason") or "").splitlines()}
    lines = [line for line in verdict.reason.splitlines() if numberless(line) not in known]
    return [("Waiting", line, True) for line in lines]


def pruned(resource: Object, old: Any) -> list[Told]:
    """Return the event on keys that the server dropped from the applied file, once for each generation."""
    if number(old, "observedGeneration") == number(resource, "metadata", "generation"):
        return []
    found = ", ".join(unknown_keys(resource)[:10])
    hint = "kubectl refuses them with --validate=strict"
    return [("UnknownKeys", f"unknown keys, which the server has dropped: {found}; {hint}", True)] if found else []
