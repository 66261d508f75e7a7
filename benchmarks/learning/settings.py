"""Settings of an algorithm as words of a command line."""

from collections.abc import Collection, Iterable
from typing import Any

from pydantic import ValidationError

from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.yaml import load
from surreal.protocol.errors import InvalidInput


def settings(words: Iterable[str], without: Collection[str] = ()) -> dict[str, Any]:
    """Return the values of KEY=VALUE words, read as those of an experiment are.

    Raise ValueError for another form, and for a key of `without`.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            raise ValueError(f"--set: {word!r} is no setting. Write KEY=VALUE.")
        if key in without:
            raise ValueError(f"--set: {key} has no meaning in one process. Leave it out.")
        try:
            found[key] = load(value, Source(f"--set {key}", has_lines=False))[0]
        except InvalidInput as error:
            raise ValueError(str(error)) from None
    return found


def wrong(error: Exception) -> str:
    """Return what is wrong as one sentence, with the key that a model refuses."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return ": ".join(
        [
            "--set",
            *([".".join(map(str, first["loc"]))] if first["loc"] else []),
            first["msg"].removeprefix("Value error, "),
        ]
    )
