"""Metrics as data frames of other libraries."""

import sys
from typing import Any

import pytest

from surreal.orchestrator.run.results import Metrics
from surreal.protocol.errors import InvalidInput

ROWS: list[dict[str, Any]] = [
    {"time": 1.0, "role": "learner/0", "steps": 10, "loss": 0.5},
    {"time": 2.0, "role": "evaluator/0", "steps": 10, "eval_return": 3.0},
]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_rows_become_a_frame_with_missing_values(library: Any) -> None:
    pytest.importorskip(library)
    frame = Metrics(ROWS).frame(library)
    assert frame.shape == (2, 5)
    assert frame["steps"].to_list() == [10, 10] and frame["loss"].to_list()[0] == 0.5
    assert Metrics([]).frame(library).shape == (0, 0)


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(InvalidInput, match="library: polars is not installed. Run: pip install polars."):
        Metrics(ROWS).frame("polars")
    with pytest.raises(InvalidInput, match="library: 'panda' is not known. Use 'pandas' or 'polars'"):
        Metrics(ROWS).frame("panda")  # type: ignore[arg-type]
