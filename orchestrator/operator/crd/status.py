"""Status of the custom resources: conditions as the API conventions ask, and the figures of the printed columns."""

from typing import Any

CONDITIONS = {
    "Accepted": "The spec is valid, and all objects of the run are there.",
    "Running": "The process that ends the run works.",
    "Suspended": "It was stopped after a checkpoint, and goes on when spec.suspend is false.",
    "Succeeded": "The run ended as it should.",
    "Failed": "The run cannot go on.",
}
"""Type of a condition of an Experiment -> its meaning."""
STATES = ["pending", "running", "succeeded", "failed", "stopped"]
LONGEST_REASON, LONGEST_MESSAGE = 1024, 32768


def experiment_status() -> dict[str, Any]:
    """Return the schema of an Experiment's status."""
    return _status(
        {
            "run": _text("Id of the run: the label surreal.dev/run of its objects."),
            "attempt": _count("1, and one more for each resume."),
            "steps": _count("Environment steps."),
            "totalSteps": _count("Steps that the run is to make."),
            "stepsPerSecond": _count("Environment steps in a second, rounded."),
            "return": _text("Return of the newest episodes, as text: the API has no floating point."),
            "evaluationReturn": _text("Return of the newest evaluation."),
            "replicas": _count("Processes of the role that acts, which are there now."),
            "selector": _text("Selector of their pods, for autoscalers."),
            "startTime": _time("Time of the first step that was seen."),
            "completionTime": _time("Time of the end that was seen."),
        }
    )


def sweep_status() -> dict[str, Any]:
    """Return the schema of a Sweep's status."""
    counts = ("runs", "pending", "running", "succeeded", "failed")
    return _status({key: _count(f"Runs: {key}." if key != "runs" else "Runs that it has in all.") for key in counts})


def _status(own: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "What was seen last. Only the operator writes it.",
        "type": "object",
        "properties": {
            "observedGeneration": _count("Generation of the spec that this status is about."),
            "state": {"description": "State as surreal status says it.", "type": "string", "enum": STATES},
            "reason": _text("Reason of the state, in one or more sentences.", LONGEST_MESSAGE),
            **own,
            "conditions": _conditions(),
        },
    }


def _conditions() -> dict[str, Any]:
    fields = {
        "type": {"type": "string", "maxLength": 316, "pattern": r"^[A-Za-z][A-Za-z0-9]*$"},
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "lastTransitionTime": {"type": "string", "format": "date-time"},
        "reason": {
            "type": "string",
            "maxLength": LONGEST_REASON,
            "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        },
        "message": {"type": "string", "maxLength": LONGEST_MESSAGE},
    }
    required = ["type", "status", "lastTransitionTime", "reason", "message"]
    return {
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {"type": "object", "required": required, "properties": fields},
    }


def _count(text: str) -> dict[str, Any]:
    return {"description": text, "type": "integer", "format": "int64", "minimum": 0}


def _text(text: str, longest: int = LONGEST_REASON) -> dict[str, Any]:
    return {"description": text, "type": "string", "maxLength": longest}


def _time(text: str) -> dict[str, Any]:
    return {"description": text, "type": "string", "format": "date-time"}
