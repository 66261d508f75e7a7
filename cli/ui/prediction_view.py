"""Predictions on a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table

from surreal.orchestrator.prediction.predict import Prediction
from surreal.orchestrator.run.describe import number
from surreal.protocol.documents.quantity import format_size

WORDS = {"cores": "the cores of this machine", "both": "actors and learner alike"}
"""Bounds of a run that are no role."""


def prediction_view(prediction: Prediction) -> RenderableType:
    """Return a prediction as labelled facts; where there is none, the sentence that says why."""
    facts = Table.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for label, words in _facts(prediction):
        facts.add_row(f"  {label}", words)
    return Group(facts, *(f"  {each}" for each in (prediction.source, *prediction.notes)))


def _facts(prediction: Prediction) -> list[tuple[str, str]]:
    found = prediction.speed
    if found is None:
        return []
    busy = ", ".join(f"{role} {share:.0%}" for role, share in found.busy.items())
    sizes = ", ".join(f"{count} {role}" for role, count in prediction.replicas.items())
    facts = [
        ("speed", f"{found.steps:,.0f} steps/s ({found.low:,.0f} to {found.high:,.0f})"),
        ("bounded by", f"{WORDS.get(found.bound, found.bound)} (busy: {busy})"),
        ("staleness", f"{found.staleness:.1f} updates"),
        ("replicas", sizes),
    ]
    if prediction.memory:
        memory = ", ".join(f"{role} {format_size(size)}" for role, size in prediction.memory.items())
        facts.append(("memory", f"{memory} each"))
    if prediction.hours is not None:
        cost = "" if prediction.cost is None else f", {number(prediction.cost, 2)} $"
        facts.append(("to the end", f"{prediction.hours:,.2f} h{cost}"))
    return facts
