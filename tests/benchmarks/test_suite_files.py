"""Are files that would be spoiled, or that no page can be made of, refused before anything runs?"""

import os
from pathlib import Path

import pytest

from learning.report import into
from learning.rows import Row, read_rows, write_row
from surreal.orchestrator.supervision.os_process import lock
from tests.benchmarks.suites import Suite

RUNS = ("--tasks", "CartPole-v1", "--steps", "2000", "--seeds", "1")
ROW = Row("ppo", "CartPole-v1", 1, "failed", "it broke", budget=2000)


def refused(suite: Suite, *words: str) -> str:
    """What the suite says of words that it refuses, with runs to do and without."""
    done, alone = suite(*RUNS, *words), suite("--tasks", *words)
    assert done.returncode == alone.returncode == 2 and done.stderr == alone.stderr, done.stderr + alone.stderr
    assert "to do" not in done.stderr and "Traceback" not in done.stderr and not (suite.home / "surreal").exists()
    return done.stderr


@pytest.mark.parametrize("others", [("--report", "--keep"), ("--keep", "--rows"), ("--report", "--rows")])
def test_one_file_for_two_options_is_refused_however_it_is_written(
    suite: Suite, tmp_path: Path, others: tuple[str, str]
) -> None:
    file, link = tmp_path / "kept.jsonl", tmp_path / "link.jsonl"
    file.write_text(ROW.line())
    link.symlink_to(file)
    said = refused(suite, others[0], str(link), others[1], f"{tmp_path}/../{tmp_path.name}/kept.jsonl")
    assert f"suite: {', '.join(others)}: both are " in said
    assert file.read_text() == ROW.line()


def test_a_report_that_would_spoil_rows_or_anything_else_is_refused(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    for content in (ROW.line(), "# Notes\n"):
        file.write_text(content)
        said = refused(suite, "--report", str(file))
        assert f"suite: --report: {file}: not one <!-- suite: begin -->" in said and file.read_text() == content


@pytest.mark.parametrize("option", ["--keep", "--rows"])
def test_rows_that_are_none_are_refused(suite: Suite, tmp_path: Path, option: str) -> None:
    page = tmp_path / "page.md"
    into(page, "before")
    before = page.read_text()
    assert f"suite: {option}: {page}:1: not a row of a table: " in refused(suite, option, str(page))
    assert page.read_text() == before


@pytest.mark.parametrize("option", ["--report", "--keep"])
def test_a_file_among_the_rows_and_one_that_is_no_file_are_refused(suite: Suite, option: str) -> None:
    write_row(suite.rows / "a.json", ROW)
    for name in ("a.json", "new.json"):
        assert "would be among the rows" in refused(suite, option, str(suite.rows / name))
    assert f"suite: {option}: '/dev/null' can be no file" in refused(suite, option, "/dev/null")
    assert read_rows(suite.rows) == [ROW]


def test_a_page_is_made_in_a_home_where_a_suite_works(suite: Suite, tmp_path: Path) -> None:
    write_row(suite.rows / "a.json", ROW)
    held = lock(suite.home / "lock")
    assert held is not None
    try:
        done = suite("--tasks", "--report", str(tmp_path / "page.md"), "--keep", str(tmp_path / "kept.jsonl"))
        assert done.returncode == 0 and "it broke" in (tmp_path / "page.md").read_text(), done.stderr
        assert "another suite works on" in suite(*RUNS).stderr
    finally:
        os.close(held)
    assert read_rows(tmp_path / "kept.jsonl") == [ROW]
