"""Reports of many processes become one row a role."""

import pytest

from surreal.algorithms.recording.reports import Reports, Shares


def test_shares_are_of_the_time_between_two_readings() -> None:
    shares = Shares("acting", "waiting")
    shares.add("acting", 1e9)
    first, second = shares.read(), shares.read()
    assert first["share_acting"] > 1
    assert first["share_waiting"] == 0
    assert second == {"share_acting": 0.0, "share_waiting": 0.0}


def test_a_thousand_reports_are_one_row_with_mean_and_range() -> None:
    reports = Reports()
    for index in range(1000):
        reports.add(f"actor/{index}", {"share_acting": index / 1000, "note": "text"})
    reports.add("judge/0", {"x": 2})
    assert reports.by_role() == {
        "actor": {
            "processes": 1000,
            "share_acting": pytest.approx(0.4995),
            "share_acting_min": 0.0,
            "share_acting_max": 0.999,
        },
        "judge": {"processes": 1, "x": 2.0},
    }
    assert reports.by_role() == {}
    assert reports.mean_of("x") == 2.0 and reports.mean_of("y") is None


def test_a_process_that_is_silent_for_a_minute_is_in_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    reports = Reports()
    reports.add("actor/0", {"x": 100})
    now = 61.0
    reports.add("actor/1", {"x": 1})
    assert reports.mean_of("x") == 1.0
