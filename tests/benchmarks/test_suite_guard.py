"""Do cheap rows of the published table come out again? Minutes; run with -m slow."""

from pathlib import Path

import pytest

from learning.floors import floors
from learning.rows import read_rows
from learning.statistics import expected
from tests.benchmarks.suites import ROOT, Suite

CHEAP = ("CartPole-v1", "Acrobot-v1", "Pendulum-v1")
TABLE = ROOT / "docs" / "benchmark.jsonl"


def test_the_interval_is_wider_than_the_range_by_its_width_and_a_slack() -> None:
    assert expected([90, 110], floor=0) == pytest.approx((90 - 20 - 5, 110 + 20 + 5))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", CHEAP)
def test_a_cheap_row_comes_out_as_the_table_says(suite: Suite, tmp_path: Path, task: str) -> None:
    found = [row for row in read_rows(TABLE) if (row.contestant, row.task) == ("ppo", task)]
    steps = min(row.budget for row in found)
    rows = [row for row in found if row.budget == steps]
    values = [value for row in rows if (value := row.figure("last")) is not None]
    low, _ = expected(values, floors([task], tmp_path / "floors.json")[task])
    done = suite("--tasks", task, "--seeds", str(rows[0].seed), "--steps", str(steps), timeout=1500)
    assert done.returncode == 0, done.stderr
    assert suite.row(f"ppo-{task.lower()}-{steps}-{rows[0].seed}")["figures"]["last"] >= low
