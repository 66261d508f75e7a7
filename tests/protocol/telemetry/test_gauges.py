"""Gauges: the newest finite numbers of the processes of the run, under names that Prometheus takes."""

import math

import pytest

from surreal.protocol.telemetry import gauges
from surreal.protocol.telemetry.gauges import Gauges
from surreal.protocol.wiring import Wiring

WIRING = Wiring("test", "learner", 0, 1, "", {"learner": 1, "my-actor": 2}, {}, "", True, "", 1)


def test_the_newest_number_of_each_process_is_kept() -> None:
    kept = Gauges(WIRING)
    kept.set("learner/0", {"kl": 0.5})
    kept.set("learner/0", {"kl": 0.25, "updates": 7})
    kept.set("my-actor/0", {"share waiting/%": 0.1, "ok": True})
    kept.set("my-actor/1", {"share waiting/%": 0.2})
    assert kept.values() == {
        "learner_kl": {"learner/0": 0.25},
        "learner_updates": {"learner/0": 7.0},
        "my_actor_ok": {"my-actor/0": 1.0},
        "my_actor_share_waiting__": {"my-actor/0": 0.1, "my-actor/1": 0.2},
    }


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "text", [1.0]])
def test_what_is_no_number_any_more_has_no_gauge(value: object) -> None:
    kept = Gauges(WIRING)
    kept.set("learner/0", {"kl": 0.5})
    kept.set("learner/0", {"kl": value})
    assert kept.values() == {"learner_kl": {}}


def test_a_stranger_has_no_gauge_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "MAX_GAUGES", 2)
    kept = Gauges(WIRING)
    kept.set("spy/0", {"kl": 1.0})
    kept.set("my-actor/2", {"kl": 1.0})
    kept.set("learner/0", {"a": 1, "b": 2, "c": 3})
    kept.set("learner/0", {"a": 9})
    assert kept.values() == {"learner_a": {"learner/0": 9.0}, "learner_b": {"learner/0": 2.0}}
