"""The page of a table: rows -> Markdown."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from learning.rows import FIGURES, Row, put
from learning.statistics import Returns, improvement, interval, iqm, iqm_of_table, scores
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

    def returns(self, contestant: str, tasks: Iterable[str]) -> list[list[float]]:
        """Evaluations of the last weights, [task][seed]; a run that failed is a policy that acts at random."""
        found = []
        for task in tasks:
            values = [row.figure("last") for row in self.of(contestant, task)]
            found.append([self.floors[task] if value is None else value for value in values])
        return found

    def measured(self, task: str) -> bool:
        """Return True if the reference has a figure on `task`."""
        return any(row.figure("last") is not None for row in self.of(self.reference, task))

    def learned(self, task: str) -> bool:
        """Return True if the reference is better on `task` than a random policy, so that its shares mean something."""
        return self.measured(task) and mean(self.returns(self.reference, [task])[0]) > self.floors[task]


def check_conventions(rows: Sequence[Row]) -> None:
    """Raise Conventions where rows cannot stand in one column.

    These are two that measure a figure in two ways, have one name with two settings or layouts, or were given unlike
    steps.
    """
    for name in FIGURES:
        said = Counter(row.conventions.get(name, "not said") for row in rows if row.figure(name) is not None)
        if len(said) > 1:
            words = "; ".join(f"{convention!r} in {count}" for convention, count in said.most_common())
            raise Conventions(f"figures.{name}: rows of two conventions: {words}. Report them as two tables.")
    for contestant in {row.contestant for row in rows}:
        mine = [row for row in rows if row.contestant == contestant]
        for kind, found in (("settings", {row.word for row in mine}), ("layouts", {row.layout for row in mine} - {""})):
            if len(found) > 1:
                words = f"{' and '.join(sorted(found))}. Name one otherwise, or report them from two homes"
                raise Conventions(f"contestant {contestant}: rows of two {kind}: {words}.")
    for task in {row.task for row in rows}:
        steps = [row.steps for row in rows if row.task == task and row.outcome == "succeeded"]
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
    """Put `text` between the marks of `file`, or make the file; what stands around the marks stays.

    Raise ValueError where it is no page.
    """
    before, _, rest = old_page(file).partition(BEGIN)
    _, _, after = rest.partition(END)
    put(file, f"{before}{BEGIN}\n{text}\n{END}{after}")


def old_page(file: Path) -> str:
    """Return the text of a page; a new one where nothing is there. Raise ValueError where anything else is."""
    try:
        old = file.read_text() if file.exists() else ""
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: no page: {error}. Name another file.") from None
    if not old.strip():
        return f"# Benchmark\n\n{BEGIN}\n{END}\n"
    if (old.count(BEGIN), old.count(END)) != (1, 1) or old.find(END) < old.find(BEGIN):
        words = f"not one {BEGIN} with one {END} after it. What stands between them is written anew"
        raise ValueError(f"{file}: {words}: put both where the tables belong, or name a new file.")
    return old


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
    """Return one command of every way of evaluating among `rows`, with the number of runs."""
    ways: dict[str, list[Row]] = {}
    for row in rows:
        ways.setdefault(row.command.partition(" --steps ")[2] if row.layout else "", []).append(row)
    return [(same[0].command, "1 run" if len(same) == 1 else f"{len(same)} runs like") for same in ways.values()]


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


def _aggregates(table: Table) -> list[str]:
    """Lines that compare every contestant with the reference over the tasks that both have."""
    head = [f"evaluation of the last weights, {table.reference} = 1", "tasks", "interquartile mean", "lowest task"]
    head += [f"probability of improvement over {table.reference}", "share of its wall clock"]
    lines = [_line(head), _line(["---", *["--:"] * 5])]
    for name in table.contestants:
        both = [task for task in table.tasks if table.of(name, task) and table.measured(task)]
        if both:
            tasks = [task for task in both if table.learned(task)]
            ours, theirs = table.returns(name, both), table.returns(table.reference, both)
            chance = _with_interval(improvement(ours, theirs), interval(improvement, ours, theirs))
            cells = [name, str(len(tasks)), *_shares(table, name, tasks), chance, _wall_clock(table, name, both)]
            lines.append(_line(cells))
    unlearned = [task for task in table.tasks if table.measured(task) and not table.learned(task)]
    if unlearned:
        words = f"Without shares of {table.reference}, which is no better there than chance"
        lines += ["", f"{words}: {', '.join(unlearned)}."]
    return lines if len(lines) > 2 else []


def _shares(table: Table, name: str, tasks: Sequence[str]) -> tuple[str, str]:
    """Return the interquartile mean of a contestant's shares of the reference, and its lowest task."""
    if not tasks:
        return "-", "-"
    floors = [table.floors[task] for task in tasks]

    def over_tasks(ours: Returns, theirs: Returns) -> float:
        return iqm_of_table(scores(ours, theirs, floors))

    pair = table.returns(name, tasks), table.returns(table.reference, tasks)
    low = min(zip(map(iqm, scores(*pair, floors)), tasks, strict=True))
    return _with_interval(over_tasks(*pair), interval(over_tasks, *pair)), f"{low[0]:.2f} ({low[1]})"


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
    lines = [f"- {row.contestant}, {row.task}, seed {row.seed}: {' '.join(row.reason.split())}" for row in failed]
    return ["Failed runs, which have no figures above and count as a random policy:", "", *lines] if lines else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
