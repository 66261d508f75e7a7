"""`surreal explain`: the meaning of a key of experiment files."""

from typing import TYPE_CHECKING

import click

from surreal.cli.ui.options import output_option
from surreal.cli.ui.output import Output, emit, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from surreal.orchestrator.experiment.explain import Explanation

NONE = {True: "none: it has to be given", False: "that of the algorithm or of the place"}


@click.command(name="explain")
@click.argument("key", default="spec")
@click.option(
    "--algorithm", metavar="NAME", help="The algorithm whose config is meant; all that have the key otherwise."
)
@output_option
def command(key: str, algorithm: str | None, output: Output) -> None:
    """Explain KEY of experiment files: type, default, bounds, meaning, paper. Such as spec.algorithm.config.gamma."""
    from surreal.orchestrator.experiment.explain import explain

    found = explain(key, algorithm)
    emit([each.to_data() for each in found], output, lambda: _text(found))


def _text(found: "list[Explanation]") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    alike: dict[tuple[str, ...], list[Explanation]] = {}
    for each in found:
        alike.setdefault((each.type, each.default, each.bounds, each.meaning, *each.keys), []).append(each)
    shown: list[RenderableType] = []
    for same in alike.values():
        facts = Table.grid(padding=(0, 3, 0, 0))
        facts.add_column(no_wrap=True)
        facts.add_column(overflow="fold")
        first = same[0]
        rows = {
            "key": first.key,
            "algorithm": ", ".join(each.algorithm for each in same if each.algorithm),
            "type": first.type,
            "default": "" if first.keys else first.default or NONE[first.required],
            "bounds": first.bounds,
            "meaning": first.meaning,
            "paper": first.paper,
        }
        for label, value in rows.items():
            if value:
                facts.add_row(label, value)
        shown += [facts, ""]
        if (inside := _inside(first)).row_count:
            shown += [inside, ""]
    return Group(*shown[:-1])


def _inside(found: "Explanation") -> "Table":
    """Return the keys inside one as a table."""
    from surreal.orchestrator.experiment.explain import below

    rows = table("key", "default", "meaning")
    for each in below(found):
        default = "" if each.keys else each.default or ("required" if each.required else "")
        rows.add_row(each.key.removeprefix(f"{found.key}."), default, each.meaning)
    return rows
