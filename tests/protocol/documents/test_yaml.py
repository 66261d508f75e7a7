"""The strict YAML reader: YAML 1.2 scalars, and refusals that name their line."""

import pytest

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import InvalidInput


def load(text: str) -> object:
    return strictyaml.load(text, Source("e.yaml"))[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000_000", 1_000_000),
        ("3.0e-4", 3.0e-4),
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        (".5", 0.5),
        ("-2.", -2.0),
        ("+7", 7),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("'1'", "1"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("0x10", "0x10"),
        ("1__0", "1__0"),
        ("<<", "<<"),
        ("=", "="),
        ("[64, 64]", [64, 64]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("a:\n  - x\n  - y: ''\n", {"a": ["x", {"y": ""}]}),
        ("%YAML 1.2\n---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_scalars_are_what_a_person_means(text: str, value: object) -> None:
    loaded = load(text)
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "e.yaml:1: is empty"),
        ("# nothing\n", "e.yaml:1: is empty"),
        ("a: 1\nb: 2\na: 3\n", "e.yaml:3: duplicate key 'a'; the first is on line 1"),
        ("a: 1\nb: !!python/object:os.system ls\n", "e.yaml:2: tags (tag:yaml.org,2002:python/object:os.system)"),
        ("a: !!int 3\n", "e.yaml:1: tags"),
        ("a: ! x\n", "e.yaml:1: tags"),
        ("a: &x [1]\nb: 2\n", "e.yaml:1: anchors (&x) are not allowed"),
        ("a: 1\nb: *x\n", "e.yaml:2: aliases (*x) are not allowed"),
        ("a: 1\n---\nb: 2\n", "e.yaml:2: a second document"),
        ("a: [1, 2\nb: 3\n", "not YAML"),
        ("a: b: c\n", "e.yaml:1: not YAML: mapping values are not allowed here"),
        ("a: 1\n\tb: 2\n", "e.yaml:2: not YAML"),
        ("a: .inf\n", "e.yaml:1: a: numbers must be finite, not .inf"),
        ("a: 1\nb: .nan\n", "e.yaml:2: b: numbers must be finite, not .nan"),
        ("a: 1e999\n", "e.yaml:1: a: numbers must be finite, not 1e999"),
        ("a: " + "9" * 5000, "e.yaml:1: a: a number of more than 64 characters"),
        ("a: 1\n2: x\n", "e.yaml:2: a key must be text, not 2; put it in quotes"),
        ("? [a]\n: x\n", "e.yaml:1: a key must be text, not a list or mapping"),
        ("a: 1\nb: \x07\n", "e.yaml:2: the character U+0007 is not allowed"),
        ('a: "\\UFFFFFFFF"\n', "e.yaml:1: not YAML"),
        ('a: "\\ud800"\n', "e.yaml:1: a: half of a surrogate pair"),
        ("[" * 40 + "]" * 40, "e.yaml:1: nested deeper than 32 levels"),
        ("[" + "1,\n" * 10_000 + "]", "e.yaml:10000: more than 10000 values"),
        ("[" * 200_000, "e.yaml:1: nested deeper than 32 levels"),
    ],
)
def test_what_no_experiment_needs_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(text)
    assert complaint in str(caught.value)


def test_an_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(InvalidInput, match="e.yaml:1: anchors"):
        load(bomb)


def test_every_key_and_item_has_its_line() -> None:
    _, lines = strictyaml.load("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n", Source("e.yaml"))
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4, ("a", "c", 1): 5, ("a", "c", 1, "y"): 5}


@pytest.mark.parametrize(
    "value", ["1e-3", "1_000", "yes", "null", "", "true", "1:30", "é ☃", "a: b", "# x", "\n x\n", "~"]
)
def test_text_that_looks_like_something_else_is_written_in_quotes(value: str) -> None:
    assert load(strictyaml.dump({"a": value})) == {"a": value}


def test_equal_lists_are_written_out_and_not_as_aliases() -> None:
    shared = [1, 2]
    assert load(strictyaml.dump({"a": shared, "b": shared})) == {"a": [1, 2], "b": [1, 2]}
