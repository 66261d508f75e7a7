"""Hours and dollars of a run over its attempts: what counts, and what a damaged file costs."""

from pathlib import Path

import pytest

from surreal.protocol.worker.guard.spent import FILE, Spent


def test_time_and_money_add_up_and_a_step_ends_the_wait_for_one() -> None:
    spent = Spent().after(1800.0, 2.0, moved=False).after(1800.0, 4.0, moved=False)
    assert (spent.seconds, spent.dollars, spent.still) == (3600.0, 3.0, 3600.0)
    assert spent.after(10.0, 0.0, moved=True).still == 0.0
    assert spent.begun_anew() == Spent(3600.0, 3.0, 0.0)


def test_a_price_that_was_unknown_once_makes_the_sum_unknown_for_good() -> None:
    spent = Spent().after(3600.0, None, moved=True)
    assert spent.dollars is None and spent.after(3600.0, 1.0, moved=True).dollars is None


def test_the_next_attempt_goes_on_with_what_was_written(tmp_path: Path) -> None:
    assert Spent.read(tmp_path) == Spent()
    for spent in (Spent(7.5, 0.25, 3.0), Spent(8.0, None, 0.0)):
        spent.write(tmp_path)
        assert Spent.read(tmp_path) == spent
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"seconds": -1, "dollars": 0, "still": 0}',
        '{"seconds": NaN, "dollars": 0, "still": 0}',
        '{"seconds": true, "dollars": 0, "still": 0}',
        '{"seconds": "1", "dollars": 0, "still": 0}',
    ],
)
def test_after_a_damaged_file_the_price_is_unknown_and_the_time_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert Spent.read(tmp_path) == Spent(0.0, None, 0.0)


def test_a_folder_that_takes_no_file_is_no_reason_to_end(tmp_path: Path) -> None:
    Spent(1.0).write(tmp_path / "gone")
    assert Spent.read(tmp_path / "gone") == Spent()
