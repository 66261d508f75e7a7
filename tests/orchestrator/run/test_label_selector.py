"""Selection of runs by labels, as kubectl writes it."""

import pytest

from surreal.orchestrator.run.status import label_test
from surreal.protocol.errors import InvalidInput

RUNS = {
    "a": {"team": "rl", "stage": "test"},
    "b": {"team": "rl"},
    "c": {"team": "vision", "lab.example/seed": "1"},
    "d": {},
}


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("team=rl", "ab"),
        ("team==rl", "ab"),
        ("team!=rl", "cd"),
        ("team=rl,stage!=test", "b"),
        ("team", "abc"),
        ("!team", "d"),
        ("! stage , team", "bc"),
        ("team in (rl, vision)", "abc"),
        ("team in (rl,vision),stage", "a"),
        ("team notin (rl)", "cd"),
        ("lab.example/seed=1", "c"),
        ("team=", ""),
    ],
)
def test_a_selector_means_what_it_means_to_kubectl(selector: str, found: str) -> None:
    chosen = label_test(selector)
    assert "".join(name for name, labels in RUNS.items() if chosen(labels)) == found


@pytest.mark.parametrize("selector", ["", "team=rl,", "=rl", "team in rl", "team>1", "te am", "-team", "team=r l"])
def test_anything_else_is_refused_with_an_example(selector: str) -> None:
    with pytest.raises(InvalidInput, match=r"--selector: .* is no selector of labels. Write it as team=rl,stage!=test"):
        label_test(selector)
