"""Does the page tell what the rows hold, and refuse to compare what is not measured alike?"""

from dataclasses import replace
from pathlib import Path

import pytest

from learning.report import Conventions, Table, check_conventions, into, page
from learning.rows import Row, conventions, write_row
from tests.benchmarks.suites import Suite


def row(contestant: str, seed: int, last: float | None, task: str = "Hopper-v5") -> Row:
    """A run whose evaluation came to `last`; one that failed where there is none."""
    if last is None:
        return Row(contestant, task, seed, "failed", "it broke")
    figures: dict[str, float | None] = {"training": last / 2, "last": last, "best": last * 2}
    curve = [(1000, 60.0, 10.0), (2000, 120.0, last / 2)]
    return Row(contestant, task, seed, "succeeded", "", 2000, 120.0, figures, conventions(10), curve)


ROWS = [row("ppo", 1, 3000), row("ppo", 2, 3300), row("sb3-ppo", 1, 1500), row("sb3-ppo", 2, 1500)]


def text(rows: list[Row]) -> str:
    return page(Table(rows, {"Hopper-v5": 0.0}, "sb3-ppo"), "python benchmarks/suite.py")


def test_scores_are_shares_of_the_reference_with_an_interval() -> None:
    assert "| ppo | 1 | 2.10 (2.00 to 2.20) | 2.10 (Hopper-v5) | 1.00 (1.00 to 1.00) | 1.00 |" in text(ROWS)


def test_seconds_of_two_machines_are_not_compared() -> None:
    assert "| other machine |" in text([replace(each, machine=each.contestant) for each in ROWS])


def test_seconds_of_a_busy_machine_stand_nowhere() -> None:
    said = text([replace(each, busy=each.contestant == "ppo") for each in ROWS])
    assert "6,300 (6,000 to 6,600) | - | 2 |" in said
    assert "1.00 (1.00 to 1.00) | - |" in said
    assert "| Hopper-v5 | ppo | 2,000 | 2,000 | - | - |" in said


def test_every_version_and_layout_among_the_rows_is_said() -> None:
    layouts = [f"suite.py --tasks Hopper-v5 --seeds {n} --steps 2000 --copies {n}" for n in (1, 2)]
    rows = [replace(row, versions={"commit": f"c{n}"}, command=layouts[n - 1]) for n, row in enumerate(ROWS[:2], 1)]
    said = text([*rows, *ROWS[2:]])
    assert "commit c1 and c2" in said
    assert all(f"1 run: `{layout}`" in said for layout in layouts)


def test_the_three_figures_stand_in_columns_of_their_own() -> None:
    line = "| Hopper-v5 | ppo | 1,575 (1,500 to 1,650) | 3,150 (3,000 to 3,300) | 6,300 (6,000 to 6,600) | 2.0 | 2 |"
    assert line in text(ROWS)


def test_steps_and_minutes_to_the_thresholds_are_medians() -> None:
    assert "| Hopper-v5 | ppo | 2,000 | 2,000 | 2.0 | 2.0 |" in text(ROWS)
    slow = [replace(each, curve=[(1000, 60.0, 10.0)]) if each.contestant == "ppo" else each for each in ROWS]
    assert "| Hopper-v5 | ppo | never | never | never | never |" in text(slow)


def test_a_failed_run_is_shown_and_counts_as_a_policy_that_acts_at_random() -> None:
    said = text([*ROWS[:1], row("ppo", 2, None), *ROWS[2:]])
    assert "| 2, 1 failed |" in said
    assert "- ppo, Hopper-v5, seed 2: it broke" in said
    assert "| ppo | 1 | 1.00 (0.00 to 2.00)" in said


def test_a_column_of_two_conventions_is_refused() -> None:
    other = replace(ROWS[0], seed=3, conventions=conventions(5))
    with pytest.raises(Conventions, match=r"figures.last: rows of two conventions: .* in 4; .* in 1"):
        check_conventions([*ROWS, other])


def test_runs_of_unlike_steps_are_refused() -> None:
    with pytest.raises(Conventions, match="Hopper-v5 was trained for 2,000 and for 9,000 steps"):
        check_conventions([*ROWS, replace(ROWS[0], seed=3, steps=9000)])


def test_the_command_refuses_a_page_of_two_conventions_and_leaves_the_old_one(suite: Suite, tmp_path: Path) -> None:
    write_row(suite.rows / "a.json", replace(ROWS[0], task="CartPole-v1"))
    write_row(suite.rows / "b.json", replace(ROWS[2], task="CartPole-v1", conventions=conventions(5)))
    old = tmp_path / "page.md"
    old.write_text("before")
    done = suite("--tasks", "--report", str(old))
    assert done.returncode == 2
    assert "two conventions" in done.stderr and "Traceback" not in done.stderr
    assert old.read_text() == "before"


def test_a_row_that_is_no_row_is_named(suite: Suite, tmp_path: Path) -> None:
    suite.rows.mkdir()
    (suite.rows / "a.json").write_text("{}\n")
    done = suite("--tasks", "--report", str(tmp_path / "page.md"))
    assert done.returncode == 2
    assert "a.json: not a row of a table" in done.stderr


def test_what_stands_around_the_table_stays(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    into(file, "one")
    file.write_text(f"above\n{file.read_text()}below\n")
    into(file, "two")
    assert file.read_text().startswith("above\n") and file.read_text().endswith("below\n")
    assert "two" in file.read_text() and "one" not in file.read_text()
