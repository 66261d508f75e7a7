"""Rows of metrics give one curve over restarts, in a bounded number of bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.recording import rows as module
from surreal.algorithms.recording.disk import Disk
from surreal.algorithms.recording.rows import RESUMED, RowLog, read_rows, segments


def write(folder: Path, *rows: dict[str, Any]) -> None:
    """Append rows; `time` counts up."""
    log = RowLog(folder / "metrics", Disk())
    for number, row in enumerate(rows):
        log.append({"time": row.get("attempt", 0) * 1000 + number, "role": "learner/0", **row})
    log.close()


def start(attempt: int, steps: int) -> dict[str, Any]:
    return {"role": "run", "steps": steps, "attempt": attempt, RESUMED: steps}


def attempt(number: int, resumed: int, *steps: int) -> list[dict[str, Any]]:
    return [start(number, resumed), *({"steps": step, "attempt": number} for step in steps)]


def curve(folder: Path) -> list[int]:
    return [row["steps"] for row in read_rows(folder)]


def test_what_a_later_attempt_took_back_is_on_no_curve(tmp_path: Path) -> None:
    write(tmp_path, *attempt(1, 0, 10, 20, 30, 40))
    write(tmp_path, *attempt(2, 20, 25, 35, 45))
    assert curve(tmp_path) == [10, 20, 25, 35, 45]
    assert curve(tmp_path / "metrics") == [10, 20, 25, 35, 45]


def test_an_attempt_that_goes_further_back_takes_back_those_between(tmp_path: Path) -> None:
    write(tmp_path, *attempt(1, 0, 10, 20, 30))
    write(tmp_path, *attempt(2, 20, 25, 35))
    write(tmp_path, *attempt(3, 10, 12))
    assert curve(tmp_path) == [10, 12]


def test_rows_of_a_version_without_attempts_are_read_and_taken_back(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    old = [{"time": step, "role": "learner/0", "steps": step} for step in (10, 20, 30)]
    (tmp_path / "metrics" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert curve(tmp_path) == [10, 20, 30]
    write(tmp_path, *attempt(1, 20, 22))
    assert curve(tmp_path) == [10, 20, 22]


def test_a_line_that_a_crash_cut_costs_itself_only(tmp_path: Path) -> None:
    write(tmp_path, *attempt(1, 0, 10))
    with (tmp_path / "metrics" / "metrics.jsonl").open("a") as file:
        file.write('{"time": 3, "role": "lea')
    write(tmp_path, *attempt(2, 10, 20))
    assert curve(tmp_path) == [10, 20]


def test_a_long_run_stays_within_its_bytes_and_keeps_its_whole_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 2_000)
    log = RowLog(tmp_path, Disk())
    log.append({"time": 0.0, **start(1, 0)})
    for step in range(1, 2001):
        role = "learner/0" if step % 5 else "evaluator/0"
        log.append({"time": float(step), "role": role, "steps": step, "attempt": 1, "x": "y" * 50})
    log.close()
    assert len(segments(tmp_path)) <= 2 * 7 + 1
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 7 * 2_500
    found = list(read_rows(tmp_path))
    steps = [row["steps"] for row in found]
    assert len(steps) == len(set(steps)) > 150
    for role in ("learner/0", "evaluator/0"):
        own = [row["steps"] for row in found if row["role"] == role]
        assert own == sorted(own)
    assert steps[0] == 1 and steps[-20:] == list(range(1981, 2001))
    # The newest part is whole, the gaps grow with the age, and both roles are in every part.
    assert max(b - a for a, b in zip(steps, steps[1:], strict=False)) < 400
    for part in (found[: len(found) // 3], found[-50:]):
        assert {row["role"] for row in part} == {"learner/0", "evaluator/0"}
    # The start of the attempt outlives every thinning: without it a resume would take back nothing.
    write_again = RowLog(tmp_path, Disk())
    write_again.append({"time": 9000.0, **start(2, 1900)})
    write_again.close()
    assert [row["steps"] for row in read_rows(tmp_path)][-1] == 1900


def test_the_newest_file_begins_with_the_newest_row_of_every_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEGMENT_BYTES", 1_000)
    log = RowLog(tmp_path, Disk())
    log.append({"time": 0.5, "role": "evaluator/0", "steps": 0, "eval_return": 7.0})
    for step in range(1, 40):
        log.append({"time": float(step), "role": "learner/0", "steps": step})
    log.close()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["role"] for line in lines} == {"evaluator/0", "learner/0"}
    assert curve(tmp_path) == list(range(40))
