"""Learning curves as an image, by matplotlib, which is an extra."""

from collections.abc import Sequence
from pathlib import Path

from surreal.orchestrator.comparison.contestants import Contestant
from surreal.orchestrator.comparison.curves import SAID, Metric
from surreal.orchestrator.comparison.report import band
from surreal.protocol.errors import InvalidInput

ENDINGS = (".png", ".svg", ".pdf")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Colours that are told apart by people who see few (Okabe & Ito 2008)."""
STYLES = ("-", "--", ":", "-.")


def plot(found: Sequence[Contestant], metric: Metric, threshold: float | None, path: Path) -> None:
    """Write the interquartile mean of each contestant over its steps, its interval shaded.

    Raises InvalidInput where matplotlib is missing or the ending is not known, and OSError.
    """
    if path.suffix not in ENDINGS:
        raise InvalidInput(f"--plot: {str(path)!r} has no known ending. Name a file {' or '.join(ENDINGS)}.")
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InvalidInput("--plot: it needs a package. Install it: pip install 'surreal[plot]'.") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, each in enumerate(found):
        curve, colour = band(each), COLOURS[number % len(COLOURS)]
        style = STYLES[number // len(COLOURS) % len(STYLES)]
        axes.plot(curve.steps, curve.middle, color=colour, linestyle=style, label=f"{each.name}, n={len(each.curves)}")
        if curve.low is not None and curve.high is not None:
            axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.2, linewidth=0)
    if threshold is not None:
        axes.axhline(threshold, color="#666666", linewidth=0.8, linestyle=":")
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"{SAID[metric].partition(',')[0]}: interquartile mean, 95 %")
    axes.legend(frameon=False, fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
