"""Selection of runs by their labels, in the language of `kubectl get -l`, the same on every backend."""

import re
from collections.abc import Callable, Mapping

from surreal.protocol.errors import InvalidInput

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_.]*"
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})")
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<verb>in|notin)\s*\((?P<values>[^()]*)\)")
_THERE = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")
_COMMA = re.compile(r",(?![^(]*\))")
"""A comma outside of parentheses."""


def parse(selector: str) -> Test:
    """Return a test of labels: `team=rl`, `team!=rl`, `team`, `!team`, `team in (a, b)`, several with commas.

    Raises InvalidInput for another text.
    """
    tests = [_term(each.strip(), selector) for each in _COMMA.split(selector)]
    return lambda labels: all(test(labels) for test in tests)


def _term(term: str, selector: str) -> Test:
    if found := _EQUAL.fullmatch(term):
        key, value, equal = found["key"], found["value"], found["sign"] != "!="
        return lambda labels: (labels.get(key) == value) == equal
    if found := _SET.fullmatch(term):
        key, inside = found["key"], found["verb"] == "in"
        values = {each.strip() for each in found["values"].split(",")}
        return lambda labels: (labels.get(key) in values) == inside
    if found := _THERE.fullmatch(term):
        key, there = found["key"], not found["no"]
        return lambda labels: (key in labels) == there
    raise InvalidInput(f"--selector: {selector!r} is no selector of labels. Write it as team=rl,stage!=test")
