"""`surreal compare`: runs and groups side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Group, RenderableType

from surreal.cli.ui.options import Number, location_options, names_argument, output_option
from surreal.cli.ui.output import UNKNOWN, Output, duration, emit, number, table, talk, warn
from surreal.orchestrator.run.location import Location
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from surreal.orchestrator.comparison.compare import Comparison
    from surreal.orchestrator.comparison.contestants import Contestant
    from surreal.orchestrator.comparison.report import Figures

MANY = 6
"""Keys of a contestant that are printed."""


@click.command(name="compare")
@names_argument
@click.option("--threshold", type=Number(), metavar="RETURN", help="Say when this return was reached.")
@click.option("--metric", metavar="NAME", help="eval_return or episode_return; the former if all have it.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves with intervals: .png, .svg or .pdf.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write all points to a CSV file.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Write all points to a parquet file.")
@location_options
@output_option
def command(
    names: tuple[str, ...],
    threshold: float | None,
    metric: str | None,
    plot: Path | None,
    csv_file: Path | None,
    parquet: Path | None,
    location: Location | None,
    output: Output,
) -> None:
    """Compare the experiments and groups NAME..., and run folders (with a '/').

    Runs that differ in nothing but name and seed are one contestant. IQM is the interquartile mean of their final
    returns with a bootstrap interval of 95 %; BETTER is the probability that a run ends better than one of the first
    contestant.
    """
    from surreal.orchestrator.comparison import report
    from surreal.orchestrator.comparison.compare import compare

    found = compare(names, location, metric=metric, threshold=threshold)
    emit(found.to_data(), output, lambda: _table(found))
    warn(found.notes)
    _write("--csv", csv_file, lambda path: report.write_csv(found.contestants, path))
    _write("--parquet", parquet, lambda path: report.write_parquet(found.contestants, path))
    if plot:
        from surreal.orchestrator.comparison.plot import plot as draw

        _write("--plot", plot, lambda path: draw(found.contestants, found.metric, threshold, path))


def _write(option: str, path: Path | None, write: Callable[[Path], None]) -> None:
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        raise InvalidInput(f"{option}: {path}: {error.strerror}. Name a file in a folder that you can write.") from None
    talk(f"wrote {path}")


def _table(found: "Comparison") -> RenderableType:
    columns = ["", "runs", "final", "best", "mean", "iqm", "better", "steps/s"]
    hits = ["reached", "at step", "after"] if found.threshold is not None else []
    rows = table(*columns, *hits)
    for each in found.figures:
        rows.add_row(*_cells(each), *(_hits(each) if hits else []))
    said = found.to_data()["returns"]
    few = [each.contestant.name for each in found.figures if each.low is None]
    notes = [f"No interval of {', '.join(few)}: it takes three runs."] if few else []
    apart = [line for each in found.contestants for line in _settings(each)]
    return Group(rows, "", f"Values are {said}.", *notes, *(("", "What differs:", *apart) if apart else ()))


def _settings(each: "Contestant") -> list[str]:
    """Return the keys that set a contestant apart, the first ones where there are many."""
    said = [f"  {each.name}: {key} {value}" for key, value in list(each.settings.items())[:MANY]]
    left = len(each.settings) - len(said)
    return [*said, f"  {each.name}: {left} keys more; see -o json"] if left else said


def _cells(each: "Figures") -> list[str]:
    around = "" if each.low is None else f" {number(each.low, 1)}..{number(each.high, 1)}"
    better = UNKNOWN if each.improvement is None else f"{100 * each.improvement:.0f} %"
    count = len(each.contestant.curves)
    values = [number(value, 1) for value in (each.final, each.best, each.mean)]
    return [
        each.contestant.name,
        str(count),
        *values,
        number(each.iqm, 1) + around,
        better,
        number(each.steps_per_second),
    ]


def _hits(each: "Figures") -> list[str]:
    return [f"{each.reached}/{len(each.contestant.curves)}", number(each.steps_to), duration(each.seconds_to)]
