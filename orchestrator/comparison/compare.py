"""One comparison: from the names of runs and groups to the figures of contestants."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from surreal.orchestrator.client import Run
from surreal.orchestrator.comparison.contestants import Contestant, choose_metric, contestants, objections
from surreal.orchestrator.comparison.curves import SAID, Metric, Recorded, read
from surreal.orchestrator.comparison.report import Figures, figures
from surreal.orchestrator.groups import runs_of
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import SurrealError


@dataclass(frozen=True)
class Comparison:
    """Contestants with their figures, and what has to be said about them."""

    metric: Metric
    threshold: float | None
    contestants: list[Contestant]
    figures: list[Figures]
    notes: list[str] = field(default_factory=list)
    """Reasons for caution: other environments, other kinds of returns."""

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "metric": self.metric,
            "returns": SAID[self.metric],
            "threshold": self.threshold,
            "notes": self.notes,
            "contestants": [each.to_data() for each in self.figures],
        }


def compare(
    names: Sequence[str],
    location: Location | None = None,
    *,
    metric: str | None = None,
    threshold: float | None = None,
) -> Comparison:
    """Compare runs, groups of runs and run folders. Raises InvalidInput for runs without a common score."""
    recorded = [_recorded(each) for each in _sources(names, location)]
    chosen, notes = choose_metric(recorded, metric)
    found = contestants([each.curve(chosen) for each in recorded])
    against = objections(found)
    if against:
        notes += [f"{each}: the returns do not compare" for each in against]
    return Comparison(chosen, threshold, found, figures(found, threshold, not against), notes)


def _sources(names: Sequence[str], location: Location | None) -> list[Run | Path]:
    """Return runs by name, and folders by path."""
    found: list[Run | Path] = []
    for name in names:
        if "/" in name and Path(name).is_dir():
            found.append(Path(name))
        else:
            found += [run for run in runs_of([name], location) if run.name not in {str(each) for each in found}]
    return found


def _recorded(source: Run | Path) -> Recorded:
    if isinstance(source, Path):
        folder = Folder(source.absolute())
        return read(folder.name, folder.metrics, folder.plan)
    with ExitStack() as stack:
        metrics = stack.enter_context(source.metrics_folder())
        plan = metrics.parent / "plan.json"
        if not plan.is_file():
            copy = Path(stack.enter_context(TemporaryDirectory(prefix="surreal-")))
            plan = copy / "plan.json"
            # The curves are there all the same.
            with suppress(SurrealError):
                source.backend.fetch(source.name, "plan.json", copy)
        return read(source.name, metrics, plan)
