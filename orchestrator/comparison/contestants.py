"""Contestants: runs of equal settings but for the seed, what sets them apart, and what makes them no comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from surreal.orchestrator.comparison.curves import METRICS, SAID, Curve, Metric, Recorded, flat
from surreal.protocol.errors import InvalidInput, did_you_mean

ENV = "spec.env"
NO_MATTER = ("spec.env.copies", "spec.env.stepping")
"""Keys of an environment that change no return."""
LONGEST = 40
"""Characters of a contestant's name."""


@dataclass(frozen=True)
class Contestant:
    """Runs of the same settings."""

    name: str
    settings: dict[str, str]
    """Key -> value in JSON of all that differs between the contestants."""
    curves: tuple[Curve, ...]


def choose_metric(runs: Sequence[Recorded], asked: str | None) -> tuple[Metric, list[str]]:
    """Return the score that all runs have, and what is to be said about it. Raises InvalidInput where there is none."""
    common = [metric for metric in METRICS if all(metric in run.scores for run in runs)]
    if asked is not None:
        found = next((metric for metric in METRICS if metric == asked), None)
        if found is None:
            raise InvalidInput(f"--metric: {asked!r} is no score{did_you_mean(asked, METRICS)}. Use {METRICS[0]}.")
        common = [metric for metric in common if metric == found]
    if not common:
        without = [run.run for run in runs if (asked or METRICS[0]) not in run.scores]
        raise InvalidInput(
            f"{', '.join(without)}: no {asked or METRICS[0]}, which the other runs have. Compare runs of one kind."
        )
    notes = []
    if asked is None and common[0] != METRICS[0] and any(METRICS[0] in run.scores for run in runs):
        never = ", ".join(run.run for run in runs if METRICS[0] not in run.scores)
        notes.append(f"{never}: never evaluated, so {SAID[common[0]]} are compared")
    return common[0], notes


def contestants(curves: Sequence[Curve]) -> list[Contestant]:
    """Return the runs by their settings, in the order given; a run of unknown settings is alone."""
    groups: dict[str, list[Curve]] = {}
    settings: dict[str, dict[str, str]] = {}
    for curve in curves:
        leaves = dict(flat(curve.made_of["spec"], ("spec",))) if curve.made_of else {}
        key = str(sorted(leaves.items())) if leaves else curve.run
        groups.setdefault(key, []).append(curve)
        settings[key] = leaves
    varied = _varied(list(settings.values()))
    found = []
    for key, runs in groups.items():
        apart = {name: settings[key][name] for name in varied if name in settings[key]}
        found.append(Contestant(_name(runs, apart, len(groups)), apart, tuple(runs)))
    return found


def _varied(settings: Sequence[dict[str, str]]) -> list[str]:
    """Return the keys that have not the same value everywhere."""
    names = dict.fromkeys(name for each in settings for name in each)
    known = [each for each in settings if each]
    return [name for name in names if len({each.get(name) for each in known}) > 1]


def _name(runs: Sequence[Curve], apart: dict[str, str], count: int) -> str:
    """Return the run's own name where it is alone, else its settings, shortened to the last words of their keys."""
    if len(runs) == 1 or not apart or count == 1:
        return runs[0].run if len(runs) == 1 else f"{_prefix([curve.run for curve in runs])} ({len(runs)} runs)"
    words = [f"{key.rpartition('.')[2]}={value.strip(chr(34))}" for key, value in apart.items()]
    name = " ".join(words)
    return name if len(name) <= LONGEST else f"{_prefix([curve.run for curve in runs])} ({len(runs)} runs)"


def _prefix(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same].rstrip("-0123456789") or first


def objections(found: Sequence[Contestant]) -> list[str]:
    """Return why the returns of contestants cannot be compared: they come from different environments."""
    keys = dict.fromkeys(
        key
        for each in found
        for key in each.settings
        if key.startswith(f"{ENV}.") and key not in NO_MATTER and not key.startswith("spec.env.action")
    )
    said = []
    for key in keys:
        values = {each.settings.get(key, "not set") for each in found}
        said.append(f"{key} differs: {', '.join(sorted(values))}")
    unknown = [each.name for each in found if not each.curves[0].made_of]
    if unknown:
        said.append(f"nothing says what {', '.join(unknown)} was trained in")
    return said
