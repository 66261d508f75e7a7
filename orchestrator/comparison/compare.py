"""One comparison: from the names of runs and groups to the figures of contestants."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from surreal.orchestrator.client import Run
from surreal.orchestrator.comparison.contestants import Contestant, choose_metric, contestants, objections
from surreal.orchestrator.comparison.curves import SAID, Metric, Recorded, read
from surreal.orchestrator.comparison.report import Figures, figures
from surreal.orchestrator.groups import runs_of
from surreal.orchestrator.run import home
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
    sources, repeated = _sources(names, location)
    recorded, copies = _each_once([_recorded(each) for each in sources])
    chosen, notes = choose_metric(recorded, metric)
    notes = [f"{run}: given more than once, counted once" for run in dict.fromkeys(repeated)] + copies + notes
    found = contestants([each.curve(chosen) for each in recorded])
    against = objections(found)
    if against:
        notes += [f"{each}: the returns do not compare" for each in against]
    return Comparison(chosen, threshold, found, figures(found, threshold, not against), notes)


def _sources(names: Sequence[str], location: Location | None) -> tuple[list[Run | Path], list[str]]:
    """Return runs by name and folders by path, each once, and the names of those given again."""
    found: dict[Path | str, Run | Path] = {}
    repeated: list[str] = []
    for name in names:
        given: list[Path] | list[Run] = [Path(name)] if _is_folder(name) else runs_of([name], location)
        for each in given:
            if found.setdefault(_identity(each), each) is not each:
                repeated.append(each.absolute().name if isinstance(each, Path) else each.name)
    return list(found.values()), repeated


def _is_folder(name: str) -> bool:
    return "/" in name and Path(name).is_dir()


def _identity(source: Run | Path) -> Path | str:
    """Return what is equal for a run by name and by the folder that it has on this machine."""
    if isinstance(source, Path):
        return source.resolve()
    return source.name if source.backend.remote else (home.experiments() / source.name).resolve()


def _each_once(recorded: Sequence[Recorded]) -> tuple[list[Recorded], list[str]]:
    """Return the runs without copies of others, and notes on those: two runs never take equal times."""
    found: list[Recorded] = []
    notes: list[str] = []
    for run in recorded:
        same = next((each for each in found if run.clock[0] and replace(each, run=run.run) == run), None)
        if same is None:
            found.append(run)
        else:
            notes.append(f"{run.run}: a copy of {same.run}, not counted")
    return found, notes


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
