"""Does the page tell what the rows hold, and refuse to compare what is not measured alike?"""

from dataclasses import replace
from pathlib import Path

import pytest

from learning.report import Conventions, check_conventions, into, page
from learning.rows import Row, conventions, in_numbers, read_rows, write_row
from learning.sections import scored, tables
from tests.benchmarks.suites import ROOT, Suite


def row(contestant: str, seed: int, last: float | None, task: str = "Hopper-v5") -> Row:
    """A run whose evaluation came to `last`; one that failed where there is none."""
    if last is None:
        return Row(contestant, task, seed, "failed", "it broke", budget=2000)
    figures: dict[str, float | None] = {"training": last / 2, "last": last, "best": last * 2}
    curve = [(1000, 60.0, 10.0), (2000, 120.0, last / 2)]
    return Row(contestant, task, seed, "succeeded", "", 2000, 120.0, figures, conventions(10), curve, budget=2000)


ROWS = [row("ppo", 1, 3000), row("ppo", 2, 3300), row("sb3-ppo", 1, 1500), row("sb3-ppo", 2, 1500)]


def text(rows: list[Row], reference: str | None = None) -> str:
    return page(tables(rows, {"Hopper-v5": 0.0, "CartPole-v1": 0.0}, reference), "python benchmarks/suite.py")


def test_scores_are_shares_of_the_reference_with_an_interval() -> None:
    assert "| ppo | 1 | 2.10 (2.00 to 2.20) | 2.10 (Hopper-v5) | 1.00 (1.00 to 1.00) | 1.00 |" in text(ROWS)


def test_seconds_of_two_machines_are_not_compared() -> None:
    assert "| other machine |" in text([replace(each, machine=each.contestant) for each in ROWS])


def test_seconds_of_a_busy_machine_stand_nowhere() -> None:
    said = text([replace(each, busy=each.contestant == "ppo") for each in ROWS])
    assert "6,300 (6,000 to 6,600) | - | 2 |" in said
    assert "1.00 (1.00 to 1.00) | - |" in said
    assert "| Hopper-v5 | ppo | 2,000 | 2,000 | - | - |" in said


def laid_out(row: Row, copies: int, more: str = "") -> Row:
    """The row as a run of a layout of so many copies."""
    words = f"--seeds {row.seed} --steps 2000 --copies {copies} --actors 2 --episodes 10{more}"
    return replace(row, command=f"suite.py --tasks {row.task} --contestants {row.contestant} {words}")


def test_every_version_and_way_of_evaluating_among_the_rows_is_said() -> None:
    rows = [laid_out(ROWS[0], 8), laid_out(ROWS[1], 8, " --every 60")]
    said = text([*(replace(row, versions={"commit": f"c{row.seed}"}) for row in rows), *ROWS[2:]])
    assert "commit c1 and c2" in said
    assert all(f"1 run: `{row.command}`" in said for row in rows)


def test_one_name_with_two_layouts_is_refused_but_not_in_tables_of_their_own() -> None:
    check_conventions([laid_out(ROWS[0], 8), laid_out(ROWS[1], 8), *ROWS[2:]])
    with pytest.raises(Conventions, match="ppo: rows of two layouts: --copies 4 --actors 2 and --copies 8 --actors 2"):
        text([laid_out(ROWS[0], 8), laid_out(ROWS[1], 4), *ROWS[2:]])
    text([laid_out(ROWS[0], 8), laid_out(row("ppo", 1, 5, "CartPole-v1"), 4), *ROWS[2:]])


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


def test_figures_that_a_failed_run_has_left_count_nowhere() -> None:
    said = text([*ROWS[:1], replace(ROWS[1], outcome="failed", reason="it\nbroke"), *ROWS[2:]])
    assert "| Hopper-v5 | ppo | 1,500 (1,500 to 1,500) | 3,000 (3,000 to 3,000) |" in said
    assert "| ppo | 1 | 1.00 (0.00 to 2.00)" in said and "seed 2: it broke" in said


def test_a_reference_that_learned_nothing_is_no_measure_but_can_still_be_beaten() -> None:
    worse = [row("ppo", 1, 200), row("sb3-ppo", 1, -100), row("ppo", 1, 300, "CartPole-v1")]
    said = text([*worse, row("sb3-ppo", 1, 100, "CartPole-v1")])
    assert "| ppo | 1 | 3.00 (3.00 to 3.00) | 3.00 (CartPole-v1) | 1.00 (1.00 to 1.00) |" in said.split("## ")[2]
    assert "| ppo | 0 | - | - | 1.00 (1.00 to 1.00) |" in said.split("## ")[1]
    assert "no better there than chance: Hopper-v5." in said and "| Hopper-v5 | ppo | 2,000" not in said


def test_a_threshold_is_reached_by_the_run_that_it_is_the_end_of() -> None:
    end, floor = -6.52, -51.5  # floor + (end - floor) is above end by rounding
    rows = [replace(row("sb3-ppo", 1, 2 * end), figures={"training": end, "last": end}, curve=[(2000, 120.0, end)])]
    said = page(tables(rows, {"Hopper-v5": floor}, None), "suite.py")
    assert floor + (end - floor) > end and "| Hopper-v5 | sb3-ppo | 2,000 | 2,000 |" in said


def test_a_column_of_two_conventions_is_refused() -> None:
    other = replace(ROWS[0], seed=3, conventions=conventions(5))
    with pytest.raises(Conventions, match=r"figures.last: rows of two conventions: .* in 4; .* in 1"):
        check_conventions([*ROWS, other])


def test_one_name_with_two_settings_is_refused_and_two_seeds_of_one_setting_are_not() -> None:
    words = [f"short=ppo:gamma={gamma},network={{std: state}}" for gamma in (0.9, 0.9, 0.5)]
    commands = [f"suite.py --contestants {word} --seeds {n} --steps 2000" for n, word in enumerate(words)]
    rows = [replace(row("short", n, 9.0), command=each) for n, each in enumerate(commands)]
    check_conventions([*ROWS, *rows[:2]])
    with pytest.raises(Conventions, match=r"short: rows of two settings: .*0\.5.* and .*0\.9,network={std: state}\."):
        check_conventions([*ROWS, *rows])


def test_a_reference_that_no_row_is_of_is_refused(suite: Suite, tmp_path: Path) -> None:
    write_row(suite.rows / "a.json", replace(ROWS[0], task="CartPole-v1"))
    done = suite("--tasks", "--reference", "sb3-pp", "--report", str(tmp_path / "page.md"))
    assert done.returncode == 2 and "--reference: no row is of 'sb3-pp'. Name one of ppo." in done.stderr
    assert not (tmp_path / "page.md").exists()


def test_runs_of_unlike_steps_are_refused() -> None:
    with pytest.raises(Conventions, match="Hopper-v5 was trained for 2,000 and for 9,000 steps"):
        check_conventions([*ROWS, replace(ROWS[0], seed=3, steps=9000)])


def test_the_command_refuses_a_page_of_two_conventions_and_leaves_the_old_one(suite: Suite, tmp_path: Path) -> None:
    write_row(suite.rows / "a.json", replace(ROWS[0], task="CartPole-v1"))
    write_row(suite.rows / "b.json", replace(ROWS[2], task="CartPole-v1", conventions=conventions(5)))
    old = tmp_path / "page.md"
    into(old, "before")
    before = old.read_text()
    done = suite("--tasks", "--report", str(old))
    assert done.returncode == 2
    assert "two conventions" in done.stderr and "Traceback" not in done.stderr
    assert old.read_text() == before


def test_a_row_that_is_no_row_is_named(suite: Suite, tmp_path: Path) -> None:
    suite.rows.mkdir()
    (suite.rows / "a.json").write_text("{}\n")
    done = suite("--tasks", "--report", str(tmp_path / "page.md"))
    assert done.returncode == 2
    assert "a.json:1: not a row of a table: contestant: Field required" in done.stderr


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_figure_that_is_no_number_is_refused_by_its_place(tmp_path: Path, value: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(ROWS[0].line() + ROWS[1].line().replace("3300", value))
    with pytest.raises(ValueError, match=r"rows.jsonl:2: not a row of a table: figures.last: .* finite number"):
        read_rows(file)


def test_a_run_whose_figures_are_no_numbers_has_failed(tmp_path: Path) -> None:
    odd = replace(ROWS[0], figures={"last": float("nan"), "best": 3.0}, curve=[(1, 1.0, float("inf")), (2, 1.0, 4.0)])
    write_row(tmp_path / "a.json", in_numbers(odd))
    (found,) = read_rows(tmp_path)
    assert (found.outcome, found.reason) == ("failed", "figures that are no numbers: last is nan")
    assert (found.figures, found.curve) == ({}, [(2, 1.0, 4.0)]) and in_numbers(ROWS[0]) == ROWS[0]


def test_two_rows_of_one_run_are_refused_by_their_place(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(each.line() for each in (*ROWS, replace(ROWS[1], figures={"last": 99_999.0}))))
    with pytest.raises(ValueError, match=r"rows.jsonl:5: a second row of ppo on Hopper-v5, 2,000 steps, seed 2"):
        read_rows(file)


def test_rows_that_are_kept_are_added_to_and_a_home_without_any_takes_none_away(suite: Suite, tmp_path: Path) -> None:
    kept, words = tmp_path / "kept.jsonl", ("--tasks", "--keep", str(tmp_path / "kept.jsonl"))
    assert suite(*words).returncode == 2 and not kept.exists()
    kept.write_text(ROWS[0].line())
    assert suite(*words).returncode == 0 and read_rows(kept) == ROWS[:1]
    write_row(suite.rows / "a.json", replace(ROWS[0], steps=2001))
    write_row(suite.rows / "b.json", ROWS[1])
    done = suite(*words)
    assert "1 rows are those of" in done.stderr
    assert read_rows(kept) == [replace(ROWS[0], steps=2001), ROWS[1]]


def test_a_table_holds_one_algorithm_group_of_tasks_and_budget_with_its_own_reference() -> None:
    longer = replace(ROWS[0], budget=9000, steps=9000)
    others = [row("td3", 1, 4000), row("sb3-td3", 1, 2000), row("ppo", 1, 500, "CartPole-v1")]
    found = tables([*ROWS, longer, *others], {}, None)
    assert [(table.title, table.reference, len(table.rows)) for table in found] == [
        ("ppo on mujoco, 2,000 steps", "sb3-ppo", 4),
        ("ppo on mujoco, 9,000 steps", "sb3-ppo", 1),
        ("td3 on mujoco, 2,000 steps", "sb3-td3", 2),
        ("ppo on classic, 2,000 steps", "sb3-ppo", 1),
    ]
    assert "| td3 | 1 | 2.00 (2.00 to 2.00) |" in text([*ROWS, longer, *others])


def test_a_reference_that_is_named_joins_the_tables_of_other_algorithms() -> None:
    said = text([row("sac", 1, 3000), *ROWS[2:]], "sb3-ppo")
    assert "## sac on mujoco, 2,000 steps" in said and "## ppo on" not in said
    assert "| sac | 1 | 2.00 (2.00 to 2.00) |" in said


def test_an_algorithm_that_the_other_library_lacks_is_compared_with_its_ppo() -> None:
    said = text([*ROWS, row("impala", 1, 3000)])
    assert "| impala | 1 | 2.00 (2.00 to 2.00) |" in said and "| ppo | 1 | 2.10" in said


def test_a_contestant_without_runs_of_a_task_has_no_line_there() -> None:
    said = text([*ROWS, row("ppo", 1, 400, "Walker2d-v5")])
    assert "| Walker2d-v5 | ppo |" in said and "| Walker2d-v5 | sb3-ppo |" not in said
    assert "| ppo | 1 | 2.10" in said


def test_random_returns_are_asked_for_where_a_reference_has_rows() -> None:
    assert scored([*ROWS, row("es", 1, 10, "Swimmer-v5")], None) == {"Hopper-v5"}


def test_rows_of_the_time_of_one_budget_say_their_algorithm_and_steps_by_their_command() -> None:
    table = ROOT / "docs" / "benchmark.jsonl"
    assert {row.budget for row in read_rows(table)} >= {100_000, 1_000_000}
    assert {row.family for row in read_rows(table) if row.contestant == "sb3-ppo"} == {"ppo"}


def test_rows_of_two_budgets_are_both_kept(tmp_path: Path) -> None:
    for name, budget in (("a", 2000), ("b", 9000)):
        write_row(tmp_path / f"{name}.json", replace(ROWS[0], budget=budget))
    assert [row.budget for row in read_rows(tmp_path)] == [2000, 9000]


def test_a_page_whose_table_has_no_end_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    into(file, "one")
    broken = file.read_text().replace("<!-- suite: end -->", "") + "below\n"
    file.write_text(broken)
    with pytest.raises(ValueError, match=r"page.md: not one .* with one"):
        into(file, "two")
    assert file.read_text() == broken


def test_a_file_that_is_no_page_is_left_as_it_is(tmp_path: Path) -> None:
    for content in (ROWS[0].line().encode(), b"# Notes\n", b"\xff\xfe"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match=r"file: (not one|no page).*[Nn]ame a(nother| new) file"):
            into(tmp_path / "file", "two")
        assert (tmp_path / "file").read_bytes() == content


def test_what_stands_around_the_table_stays(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    into(file, "one")
    file.write_text(f"above\n{file.read_text()}below\n")
    into(file, "two")
    assert file.read_text().startswith("above\n") and file.read_text().endswith("below\n")
    assert "two" in file.read_text() and "one" not in file.read_text()
