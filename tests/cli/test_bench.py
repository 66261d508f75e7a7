"""`surreal bench` measures what it says and answers as every command does."""

import json

from tests.cli.terminal import surreal


def test_a_case_is_measured_in_turns_and_comes_as_json() -> None:
    ran = surreal("bench", "protocol", "stream, 16 kB", "--rounds", "1", "--seconds", "0.1", "-o", "json")
    assert ran.returncode == 0, ran.stderr
    (result,) = json.loads(ran.stdout)
    assert result["name"] == "stream, 16 kB"
    assert result["ours"] > 0 and result["raw"] > 0
    assert result["ratio"] == result["ours"] / result["raw"]


def test_an_unknown_case_is_answered_with_those_there_are() -> None:
    ran = surreal("bench", "protocol", "strem")
    assert ran.returncode == 2
    assert "no case is called 'strem'" in ran.stderr and "stream, 256 kB" in ran.stderr
