"""Fragments that were refused are counted over the lives of all processes, and never forgotten."""

from pathlib import Path

import pytest

from surreal.algorithms.recording.refused import FILE, Refused


def test_lives_of_a_process_add_up_however_many_the_next_one_has_refused_when_it_is_heard_of(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    for incarnation, count, total in ((1, 2, 2), (1, 5, 5), (2, 7, 12), (1, 6, 12), (2, 8, 13), (4, 0, 13), (4, 1, 14)):
        refused.add("actor/0", incarnation, count)
        assert refused.total == total, (incarnation, count)


def test_a_count_on_disk_goes_on_and_counts_no_life_twice(tmp_path: Path) -> None:
    refused = Refused(tmp_path)
    refused.add("actor/0", 1, 5)
    refused.add("actor/1", 1, 3)
    refused.write()
    again = Refused(tmp_path)
    assert again.total == 8
    again.add("actor/1", 1, 4)
    again.add("actor/0", 2, 5)
    assert again.total == 14


@pytest.mark.parametrize("text", ["", "[]", "{", '{"actor/0": 3}', '{"actor/0": [1, 2]}', '{"actor/0": ["1", 2, 3]}'])
def test_a_damaged_file_is_no_reason_to_end(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(text)
    assert Refused(tmp_path).total == 0


@pytest.mark.parametrize("count", [None, True, -1, 2.5, "3"])
def test_what_is_no_count_says_nothing(tmp_path: Path, count: object) -> None:
    refused = Refused(tmp_path)
    refused.add("actor/0", 1, count)
    refused.write()
    assert refused.total == 0 and not (tmp_path / FILE).exists()
