"""Does `--set` of a benchmark read a value as an experiment does?"""

from typing import Any

import pytest

from learning.settings import settings


@pytest.mark.parametrize(
    ("word", "value"),
    [("rate=1e-3", 0.001), ("rate=6e-4", 0.0006), ("steps=1_000_000", 1_000_000), ("on=no", "no"), ("at=1:30", "1:30")],
)
def test_a_value_means_what_it_means_in_an_experiment(word: str, value: Any) -> None:
    assert list(settings([word]).values()) == [value]


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("rate=.nan", "--set rate: numbers must be finite"),
        ("rate=&a 1", "--set rate: anchors .* not allowed"),
        ("rate={a: 1, a: 2}", "--set rate: duplicate key 'a'"),
    ],
)
def test_a_value_that_an_experiment_would_not_take_is_refused_with_the_reason(word: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        settings([word])
