"""The page of a table: rows -> Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from learning.rows import FIGURES, Row, put
from learning.statistics import improvement, interval, iqm, iqm_of_table, normalized
from learning.thresholds import threshold_lines

BEGIN, END = "<!-- suite: begin -->", "<!-- suite: end -->"
TITLES = {"training": "training return", "last": "evaluation, last weights", "best": "best evaluation"}
STEPS_APART = 1.1
"""Largest ratio of the steps of two runs of one task: a run ends with its batch, not within it."""


class Conventions(ValueError):
    """Figures of one column that are not measured alike."""


class Table(NamedTuple):
    """Rows by contestant and task, and what the scores are normalised by."""

    rows: list[Row]
    floors: dict[str, float]
    reference: str
    """The contestant whose mean is 1."""
    title: str

    @property
    def contestants(self) -> list[str]:
        """Names, the reference last."""
        names = sorted({row.contestant for row in self.rows})
        return sorted(names, key=lambda name: name == self.reference)

    @property
    def tasks(self) -> list[str]:
        """Tasks of all rows, in the order of the alphabet."""
        return sorted({row.task for row in self.rows})

    def of(self, contestant: str, task: str) -> list[Row]:
        """The rows of one contestant on one task, failed ones too."""
        return [row for row in self.rows if (row.contestant, row.task) == (contestant, task)]


def check_conventions(rows: Sequence[Row]) -> None:
    """Raise Conventions where two rows measure one figure in two ways, or had unlike steps: a column compares them."""
    for name in FIGURES:
        said = Counter(row.conventions.get(name, "not said") for row in rows if row.figure(name) is not None)
        if len(said) > 1:
            words = "; ".join(f"{convention!r} in {count}" for convention, count in said.most_common())
            raise Conventions(f"figures.{name}: rows of two conventions: {words}. Report them as two tables.")
    for task in {row.task for row in rows}:
        steps = [row.steps for row in rows if row.task == task and row.steps and row.outcome == "succeeded"]
        if steps and max(steps) > STEPS_APART * min(steps):
            words = f"{task} was trained for {min(steps):,} and for {max(steps):,} steps"
            raise Conventions(f"steps: rows of two budgets: {words}. Report them as two tables.")


def page(tables: Iterable[Table], command: str) -> str:
    """Return the part of the page that the suite writes. Raise Conventions where a column would mix two."""
    parts = [[f"    {command}"]]
    for table in tables:
        check_conventions(table.rows)
        parts += [[f"## {table.title}"], _made(table), _returns(table), _aggregates(table), threshold_lines(table)]
        parts += [_failures(table)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def into(file: Path, text: str) -> None:
    """Put `text` between the marks of `file`, or make the file; what stands around the marks stays."""
    old = file.read_text() if file.exists() else f"# Benchmark\n\n{BEGIN}\n{END}\n"
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    put(file, f"{before}{BEGIN}\n{text}\n{END}{after}")


def _made(table: Table) -> list[str]:
    """Lines on where the figures come from."""
    lines = []
    for name in table.contestants:
        rows = [row for row in table.rows if row.contestant == name]
        seeds = ", ".join(str(seed) for seed in sorted({row.seed for row in rows}))
        known = [row for row in rows if row.versions] or rows
        machines = " and ".join(sorted({row.machine for row in known}))
        lines += [f"- **{name}**: seeds {seeds}; {_versions(known)}; {machines}"]
        lines += [f"    - {count}: `{command}`" for command, count in _commands(rows)]
    if any(row.busy for row in table.rows):
        lines += ["- Runs beside other work of their machine have no minutes."]
    conventions = next((row.conventions for row in table.rows if row.conventions), {})
    lines += [f"- {TITLES[name]}: {convention}" for name, convention in conventions.items()]
    return lines


def _versions(rows: Sequence[Row]) -> str:
    """Return every package with all its versions among `rows`."""
    packages = dict.fromkeys(package for row in rows for package in row.versions)
    found = {
        package: dict.fromkeys(str(row.versions[package]) for row in rows if package in row.versions)
        for package in packages
    }
    return ", ".join(f"{package} {' and '.join(versions)}" for package, versions in found.items())


def _commands(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return one command of every layout and budget among `rows`, with the number of runs."""
    layouts: dict[str, list[Row]] = {}
    for row in rows:
        layouts.setdefault(row.command.partition(" --steps ")[2] if "--copies" in row.command else "", []).append(row)
    return [(same[0].command, "1 run" if len(same) == 1 else f"{len(same)} runs like") for same in layouts.values()]


def _returns(table: Table) -> list[str]:
    """One line for each task and contestant: interquartile means over the seeds, and the range."""
    head = ["task", "contestant", *(TITLES[name] for name in FIGURES), "minutes", "runs"]
    lines = [_line(head), _line(["---", "---", *["--:"] * 5])]
    for task in table.tasks:
        for contestant in table.contestants:
            rows = table.of(contestant, task)
            if not rows:
                continue
            cells = [_spread([row.figure(name) for row in rows]) for name in FIGURES]
            seconds = [row.clocked for row in rows if row.clocked]
            minutes = f"{iqm(seconds) / 60:.1f}" if seconds else "-"
            lines.append(_line([task, contestant, *cells, minutes, _count(rows)]))
    return lines


def _spread(values: Sequence[float | None]) -> str:
    """Interquartile mean and range of the values that there are."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    digits = 1 if max(abs(value) for value in known) < 100 else 0
    return f"{iqm(known):,.{digits}f} ({min(known):,.{digits}f} to {max(known):,.{digits}f})"


def _count(rows: Sequence[Row]) -> str:
    failed = sum(row.outcome != "succeeded" for row in rows)
    return f"{len(rows)}, {failed} failed" if failed else str(len(rows))


def scores(table: Table, contestant: str, tasks: Iterable[str], figure: str = "last") -> list[list[float]]:
    """Return [task][seed], 0 for a policy that acts at random and for a failed run, 1 for the reference's mean."""
    result = []
    for task in tasks:
        known = [value for row in table.of(table.reference, task) if (value := row.figure(figure)) is not None]
        mean = sum(known) / len(known)
        rows = table.of(contestant, task)
        result.append([normalized(row.figure(figure), table.floors[task], mean) for row in rows])
    return result


def _aggregates(table: Table) -> list[str]:
    """Lines that compare every contestant with the reference over the tasks that both have."""
    head = [f"evaluation of the last weights, {table.reference} = 1", "tasks", "interquartile mean", "lowest task"]
    head += [f"probability of improvement over {table.reference}", "share of its wall clock"]
    lines = [_line(head), _line(["---", *["--:"] * 5])]
    for name in table.contestants:
        tasks = [task for task in table.tasks if table.of(name, task) and _measured(table, task)]
        if not tasks:
            continue
        ours, theirs = scores(table, name, tasks), scores(table, table.reference, tasks)
        low = min(zip(map(iqm, ours), tasks, strict=True))
        chance = _with_interval(improvement(ours, theirs), interval(improvement, ours, theirs))
        cells = [name, str(len(tasks)), _with_interval(iqm_of_table(ours), interval(iqm_of_table, ours))]
        lines.append(_line([*cells, f"{low[0]:.2f} ({low[1]})", chance, _wall_clock(table, name, tasks)]))
    return lines if len(lines) > 2 else []


def _measured(table: Table, task: str) -> bool:
    return any(row.figure("last") is not None for row in table.of(table.reference, task))


def _wall_clock(table: Table, name: str, tasks: Iterable[str]) -> str:
    """Return the interquartile mean over tasks of a contestant's seconds as a share of the reference's.

    Seconds of two machines are not compared.
    """
    if len({row.machine for row in table.rows if row.contestant in (name, table.reference) and row.clocked}) > 1:
        return "other machine"
    shares = []
    for task in tasks:
        ours = [row.clocked for row in table.of(name, task) if row.clocked]
        theirs = [row.clocked for row in table.of(table.reference, task) if row.clocked]
        shares += [iqm(ours) / iqm(theirs)] if ours and theirs else []
    return f"{iqm(shares):.2f}" if shares else "-"


def _with_interval(value: float, bounds: tuple[float, float]) -> str:
    return f"{value:.2f} ({bounds[0]:.2f} to {bounds[1]:.2f})"


def _failures(table: Table) -> list[str]:
    """Lines on the runs that failed: each counts as a policy that acts at random."""
    failed = [row for row in table.rows if row.outcome != "succeeded"]
    lines = [f"- {row.contestant}, {row.task}, seed {row.seed}: {row.reason}" for row in failed]
    return ["Failed runs, which count 0 above:", "", *lines] if lines else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
