"""`surreal bench`: how fast surreal is on this machine, beside what it is built on."""

from typing import TYPE_CHECKING

import click

from surreal.cli.ui.options import Number, output_option
from surreal.cli.ui.output import Output, console, emit, table
from surreal.protocol.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from surreal.protocol.bench.harness import Result


@click.group(name="bench")
def command() -> None:
    """Measure surreal on this machine beside raw ZeroMQ."""


@command.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements of each side.")
@click.option("--seconds", type=Number(0.05), default=1.0, show_default=True, help="Of one measurement.")
@output_option
def protocol(words: tuple[str, ...], rounds: int, seconds: float, output: Output) -> None:
    """Measure streams, broadcasts and services beside raw pyzmq: cases whose names contain a WORD, or all.

    Only ratios mean anything, both sides move with the machine. Leave it alone meanwhile.
    """
    from surreal.protocol.bench import harness

    cases = harness.select(harness.all_cases(), words)
    if not cases:
        known = "; ".join(case.name for case in harness.all_cases())
        raise InvalidInput(f"no case is called {' or '.join(map(repr, words))}. There is: {known}.")
    results: list[Result] = []
    with console(stderr=True).status("") as status:
        for case in cases:
            status.update(f"{len(results) + 1} of {len(cases)}: {case.name}")
            results.append(harness.measure(case, rounds, seconds))
    emit([result.to_data() for result in results], output, lambda: _table(results))


def _table(results: "list[Result]") -> "RenderableType":
    rows = table("case", "unit", "ours", "raw", "ratio", "range", "goal")
    for result in results:
        rows.add_row(
            result.name,
            result.unit,
            f"{result.ours:,.4g}" if result.ours < 100 else f"{result.ours:,.0f}",
            f"{result.raw:,.4g}" if result.raw < 100 else f"{result.raw:,.0f}",
            f"{result.ratio:.2f}",
            f"{result.low:.2f}-{result.high:.2f}",
            f"{result.goal:.2f} {'reached' if result.reached else 'missed'}" if result.goal else "",
        )
    return rows
