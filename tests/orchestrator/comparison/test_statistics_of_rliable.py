"""Statistics over seeds are those of rliable 1.2.0, whose answers `benchmarks/beside/comparison.py` recorded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.orchestrator.comparison.statistics import generator, improvement, interval, iqm

ORACLE = json.loads((Path(__file__).parent / "data" / "rliable.json").read_text())
BOOTSTRAP_ERROR = 0.05
"""Share of an interval's width by which two bootstraps of 20,000 resamples may differ."""


@pytest.mark.parametrize("case", ORACLE["cases"], ids=lambda case: str(case["name"]))
def test_means_and_chances_are_equal_and_intervals_within_the_error_of_the_bootstrap(case: dict[str, Any]) -> None:
    answers = ORACLE["answers"][case["name"]]
    assert improvement(case["ours"], case["theirs"]) == pytest.approx(answers["improvement"], abs=1e-12)
    for key in ("ours", "theirs"):
        values, answer = np.array(case[key], dtype=float), answers[key]
        assert float(iqm(values)) == pytest.approx(answer["iqm"], rel=1e-12)
        found = interval(values, iqm, generator(key), 20_000)
        assert found is not None
        low, high = answer["interval"]
        # whole numbers leave an interval few ends to choose from
        steps = 0.25 if case["name"] == "ties" else 0.0
        within = BOOTSTRAP_ERROR * (high - low) + steps
        assert abs(float(found[0]) - low) <= within and abs(float(found[1]) - high) <= within
