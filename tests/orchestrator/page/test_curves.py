"""Curves of the page: what is read of a growing, rotated or resumed file, and what is left of many points."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from surreal.orchestrator.page.curves import Curves, decimate
from surreal.orchestrator.page.question import Asked


def write(folder: Path, *rows: dict[str, object], end: str = "\n") -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(text[:-1] + end if text else "")


def row(steps: int, **numbers: object) -> dict[str, object]:
    return {"time": 1000.0 + steps, "role": "learner", "steps": steps, "attempt": 1, **numbers}


def points(curves: Curves, axis: str = "steps", *window: float) -> tuple[list[float], list[float]]:
    curves.refresh()
    found = curves.curve("learner.loss", Asked(axis, 100, *window))
    assert found["since"] == -1
    return found["x"], found["y"]


def names(curves: Curves) -> list[str]:
    curves.refresh()
    return curves.names()


def test_a_run_without_metrics_has_no_curves(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    assert names(curves) == [] and points(curves) == ([], [])


def test_numbers_are_curves_by_role_and_words_are_none(tmp_path: Path) -> None:
    write(tmp_path, row(1, loss=2.0, note="x", done=True), {**row(2, fps=3.0), "role": "actor/7"})
    assert names(Curves(tmp_path)) == ["actor.fps", "learner.loss"]


def test_only_lines_that_are_whole_are_taken_and_the_rest_when_it_is(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, row(1, loss=1.0), row(2, loss=2.0), end="")
    assert points(curves)[1] == [1.0, 2.0]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("\n" + json.dumps(row(3, loss=3.0))[:10])
    assert points(curves)[1][-1] == 2.0
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row(3, loss=3.0))[10:] + "\n")
    assert points(curves) == ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])


def test_a_resumed_run_shows_one_curve_without_the_rows_that_were_taken_back(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, {"time": 1.0, "role": "run", "steps": 0, "attempt": 1, "resumed_at": 0})
    write(tmp_path, row(1, loss=1.0), row(5, loss=5.0))
    assert points(curves)[0] == [1.0, 5.0]
    write(tmp_path, {"time": 2000.0, "role": "run", "steps": 3, "attempt": 2, "resumed_at": 3})
    write(tmp_path, {**row(4, loss=4.0), "attempt": 2, "time": 2001.0})
    assert points(curves) == ([1.0, 4.0], [1.0, 4.0])


def test_a_rotated_file_is_read_with_its_segments(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, row(1, loss=1.0))
    assert points(curves)[0] == [1.0]
    (tmp_path / "metrics.jsonl").rename(tmp_path / "metrics-000001-x1.jsonl")
    write(tmp_path, row(2, loss=2.0))
    assert points(curves)[0] == [1.0, 2.0]


def test_points_that_came_late_are_in_the_order_of_the_axis(tmp_path: Path) -> None:
    write(tmp_path, *({**row(step, loss=float(step)), "time": 10.0 * at} for at, step in enumerate((3, 1, 2), 1)))
    curves = Curves(tmp_path)
    assert points(curves) == ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])


FEW = Asked(points=4)


def added(curves: Curves, mark: int, asked: Asked = FEW) -> tuple[bool, list[float], int]:
    curves.refresh()
    found = curves.curve("learner.loss", asked, mark)
    return found["since"] == mark, found["x"], found["mark"]


def test_with_a_mark_only_points_after_it_are_sent(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, *(row(step, loss=1.0) for step in range(10)))
    mark = added(curves, -1)[2]
    write(tmp_path, row(10, loss=2.0), row(11, loss=3.0))
    assert added(curves, mark)[:2] == (True, [10.0, 11.0])
    assert added(curves, mark, Asked(points=4, last=3.0))[:2] == (True, [])
    assert added(curves, mark, Asked(points=4, last=10.5))[:2] == (True, [10.0, 11.0])


@pytest.mark.parametrize("late", [8.0, 4.0])
def test_a_mark_is_worth_nothing_once_the_points_before_it_have_changed(tmp_path: Path, late: float) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, {"time": 1.0, "role": "run", "steps": 0, "attempt": 1, "resumed_at": 0})
    write(tmp_path, row(1, loss=1.0), row(9, loss=1.0), row(5, loss=1.0))
    mark = added(curves, -1)[2]
    write(tmp_path, {**row(0, loss=2.0), "steps": late, "time": 3000.0})
    assert added(curves, mark)[0] is False
    assert added(Curves(tmp_path), mark + 2**32)[0] is False
    mark = added(curves, -1)[2]
    write(tmp_path, {"time": 4000.0, "role": "run", "steps": 1, "attempt": 2, "resumed_at": 1})
    write(tmp_path, *({**row(step, loss=4.0), "attempt": 2, "time": 4000.0 + step} for step in range(2, 8)))
    whole, x, _ = added(curves, mark)
    assert whole is False and (x[0], x[-1]) == (1.0, 7.0)


def test_many_new_points_are_sent_as_a_whole_curve(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    write(tmp_path, row(1, loss=1.0))
    mark = added(curves, -1)[2]
    write(tmp_path, *(row(step, loss=1.0) for step in range(2, 9)))
    whole, x, _ = added(curves, mark)
    assert whole is False and x[0] == 1.0 and x[-1] == 8.0


def test_axes_are_steps_seconds_and_hours_and_a_window_keeps_a_point_beyond_each_end(tmp_path: Path) -> None:
    write(tmp_path, *(row(3600 * step, loss=float(step)) for step in range(10)))
    curves = Curves(tmp_path)
    assert points(curves, "hours", 3.5, 5.5)[0] == [3.0, 4.0, 5.0, 6.0]
    assert points(curves, "time")[0][0] == 1000.0
    assert points(curves, "steps", 10.0**9)[1] == [9.0]


@given(some.lists(some.floats(-1e9, 1e9), max_size=400), some.integers(1, 100))
def test_what_is_left_of_many_points_holds_the_ends_and_the_extremes(values: list[float], points: int) -> None:
    numbers = np.array(values)
    kept = decimate(numbers, points)
    assert len(kept) <= max(len(values) if len(values) <= max(points, 4) else points + 4, 6)
    assert (np.diff(kept) > 0).all()
    if values:
        assert kept[0] == 0 and kept[-1] == len(values) - 1
        assert numbers[kept].max() == numbers.max() and numbers[kept].min() == numbers.min()


def test_a_number_that_is_not_finite_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(
        '{"time": 1, "role": "learner", "steps": 1, "loss": NaN, "x": 1e999, "y": 2}\n'
    )
    assert names(Curves(tmp_path)) == ["learner.y"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"steps": "many"}', "\x00" * 50])
def test_damaged_lines_are_left_out(tmp_path: Path, damage: str) -> None:
    write(tmp_path, row(1, loss=1.0))
    curves = Curves(tmp_path)
    assert points(curves)[0] == [1.0]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(damage + "\n")
    write(tmp_path, row(2, loss=2.0))
    assert points(curves)[0] == [1.0, 2.0]
