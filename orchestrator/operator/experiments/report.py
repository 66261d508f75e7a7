"""The status document of an Experiment, from what is known of its run: conditions, figures, sentences."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from surreal.orchestrator.operator.crd.status import CONDITIONS, LONGEST_MESSAGE
from surreal.orchestrator.run.status import Status
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.objects import number, rows, text

OF_THE_STATE = {"running": "Running", "stopped": "Suspended", "succeeded": "Succeeded", "failed": "Failed"}
"""State of a run -> the condition that is true in it."""
OUTCOME_CONDITIONS = ("Succeeded", "Failed")
"""Conditions that are unknown until the run is over."""


@dataclass(frozen=True)
class Verdict:
    """State of an Experiment as the operator sees it."""

    state: str
    reason: str = ""
    accepted: bool | None = True
    """None while that is not known."""
    refusal: str = ""
    """Reason for which the spec is not followed; a run that is there goes on as it was."""
    code: str = "Created"
    """One word on why it is accepted or not."""
    run: str = ""
    attempt: int = 0
    replicas: int | None = None
    """Processes that act; None while that is not known, and the number before stays."""
    selector: str = ""

    @property
    def said(self) -> str:
        """All that there is to say."""
        return "\n".join(filter(None, (self.refusal, self.reason)))


def status_document(resource: Object, verdict: Verdict, run: Status | None, now: datetime | None = None) -> Object:
    """Return the whole status of a resource; times of what did not change stay as they are."""
    at = _time(now)
    old = resource.get("status") or {}
    made: dict[str, Any] = {
        "observedGeneration": number(resource, "metadata", "generation"),
        "state": verdict.state,
        "reason": verdict.said[:LONGEST_MESSAGE],
        "run": verdict.run or text(old, "run"),
        "attempt": verdict.attempt or number(old, "attempt"),
        "replicas": number(old, "replicas") if verdict.replicas is None else verdict.replicas,
        "selector": verdict.selector or text(old, "selector"),
        **_figures(old, run, verdict.state),
        "conditions": _conditions(resource, verdict, at),
    }
    if made.get("steps") and not text(old, "startTime"):
        made["startTime"] = at
    if verdict.state in ("succeeded", "failed") and not text(old, "completionTime"):
        made["completionTime"] = at
    elif verdict.state in ("pending", "running") and text(old, "completionTime"):
        # A merge patch removes what is null.
        made["completionTime"] = None
    return made


def sweep_status_document(resource: Object, verdict: Verdict, counts: Mapping[str, int], total: int) -> Object:
    """Return the whole status of a Sweep with `total` runs, of which so many are in each state."""
    return {
        "observedGeneration": number(resource, "metadata", "generation"),
        "state": verdict.state,
        "reason": verdict.said[:LONGEST_MESSAGE],
        "runs": total,
        **{state: counts.get(state, 0) for state in ("pending", "running", "succeeded", "failed")},
        "conditions": _conditions(resource, verdict, _time(None)),
    }


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """Return the fields of a status that differ, for a merge patch; empty for none."""
    return {key: value for key, value in new.items() if old.get(key) != value and (value or key in old)}


def _figures(old: Mapping[str, Any], run: Status | None, state: str) -> Object:
    """Return the numbers of the run; those that are not known any more stay, but for the speed of one that is over."""
    progress = run.progress if run else None
    speed = progress.steps_per_second if progress else number(old, "stepsPerSecond") if state == "running" else 0
    found: dict[str, Any] = {"stepsPerSecond": _whole(speed) or 0}
    if progress:
        known = {
            "steps": progress.steps or None,
            "totalSteps": progress.total_steps,
            "return": _figure(progress.episode_return),
            "evaluationReturn": _figure(progress.eval_return),
        }
        found |= {key: value for key, value in known.items() if value is not None}
    kept = ("steps", "totalSteps", "return", "evaluationReturn")
    return {**{key: old[key] for key in kept if key in old}, **found}


def _conditions(resource: Object, verdict: Verdict, at: str) -> list[Object]:
    accepted = {True: "True", False: "False", None: "Unknown"}[verdict.accepted]
    now_true = OF_THE_STATE.get(verdict.state, "")
    found = []
    for kind in CONDITIONS:
        if kind == "Accepted":
            status, code = accepted, verdict.code
            message = verdict.refusal if verdict.accepted is not True else CONDITIONS[kind]
        else:
            status, code = _truth(kind, now_true), verdict.state.capitalize()
            waits = kind == "Running" and verdict.state == "pending"
            message = verdict.reason if kind == now_true or waits else ""
        found.append(_condition(resource, kind, status, code, message[:LONGEST_MESSAGE], at))
    return found


def _truth(kind: str, now_true: str) -> str:
    """Return the status of a condition; the outcome of a run is unknown until it is over."""
    if kind == now_true:
        return "True"
    return "Unknown" if kind in OUTCOME_CONDITIONS and now_true not in OUTCOME_CONDITIONS else "False"


def _condition(resource: Object, kind: str, status: str, code: str, message: str, at: str) -> Object:
    """Return one condition, with the time at which its status changed."""
    old = next((each for each in rows(resource, "status", "conditions") if each.get("type") == kind), {})
    since = text(old, "lastTransitionTime") if old.get("status") == status else ""
    return {
        "type": kind,
        "status": status,
        "observedGeneration": number(resource, "metadata", "generation"),
        "lastTransitionTime": since or at,
        "reason": code,
        "message": message,
    }


def _figure(value: float | None) -> str | None:
    """Write a number as text, four digits of it."""
    return (
        None if value is None or not math.isfinite(value) else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    )


def _whole(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else max(0, round(value))


def _time(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
