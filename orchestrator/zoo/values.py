"""Values of the zoo's files: Python calls and dictionaries inside of strings, schedules. Nothing is evaluated."""

import ast
from typing import Any, NamedTuple

from surreal.protocol.errors import InvalidInput

MAX_TEXT = 10_000
"""Characters of one value."""


class Schedule(NamedTuple):
    """A number that stays, or falls linearly to 0 over the run."""

    value: float
    falls: bool


def literal(text: str) -> Any:
    """Return what `dict(a=1, b=[2, 3])` or `{'a': 1}` says, as plain data; names such as `nn.ReLU` become text.

    Raises InvalidInput for anything else, such as a call of another function.
    """
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"{text[:40]!r}...: is longer than {MAX_TEXT:,} characters. Shorten it.")
    try:
        return _plain(ast.parse(" ".join(text.split()), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{text!r}: cannot be read: {error}. Write dict(...) of numbers and names.") from None


def _plain(node: ast.expr) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return node.id
        case ast.Attribute():
            return f"{_plain(node.value)}.{node.attr}"
        case ast.List() | ast.Tuple():
            return [_plain(each) for each in node.elts]
        case ast.UnaryOp(op=ast.USub()) if isinstance(number := _plain(node.operand), int | float):
            return -number
        case ast.Dict() if None not in node.keys:
            pairs = zip(node.keys, node.values, strict=True)
            return {_plain(key): _plain(value) for key, value in pairs if key is not None}
        case ast.Call(func=ast.Name(id="dict"), args=[]) if all(word.arg for word in node.keywords):
            return {word.arg: _plain(word.value) for word in node.keywords}
    raise ValueError(f"{ast.unparse(node)} is no plain value")


def mapping(value: Any) -> dict[str, Any]:
    """Return a mapping that may be written as text; empty for None. Raises InvalidInput for another value."""
    found = literal(value) if isinstance(value, str) else value
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidInput(f"{value!r}: is no mapping. Write dict(...).")
    return {str(key): each for key, each in found.items()}


def schedule(value: Any) -> Schedule:
    """Return a number, or `lin_NUMBER`, which falls to 0. Raises InvalidInput for another value."""
    text = str(value)
    try:
        return Schedule(float(text.removeprefix("lin_")), text.startswith("lin_"))
    except ValueError:
        raise InvalidInput(f"{value!r}: is no number and no schedule. Write 3e-4 or lin_3e-4.") from None


def whole(value: Any) -> int:
    """Return a whole number that may be written as 1e6. Raises InvalidInput for another value."""
    number = schedule(value).value
    if number != int(number):
        raise InvalidInput(f"{value!r}: is no whole number. Write one such as 1e6.")
    return int(number)
