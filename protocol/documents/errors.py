"""Errors of pydantic in plain words: the bad value, the allowed values, the nearest spelling."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from surreal.protocol.documents.alternatives import (
    KINDS,
    UNKNOWN,
    WORDS,
    Misfit,
    Schema,
    below,
    keys,
    meant,
    misfit,
    resolve,
    schema_of,
)
from surreal.protocol.documents.locations import KeyPath, Problem
from surreal.protocol.errors import did_you_mean

CHIEF_KEYS = ("id", "name")
"""Keys that say which thing a mapping is of: its text alone is often written instead."""


def problems_of(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Return each problem of `error`, raised by validating with `model`, as the path of its key and a sentence."""
    schema = schema_of(model)
    found = [misfit(schema, details) for details in error.errors(include_url=False)]
    return [_together(schema, each) if len(each) > 1 else _problem(schema, each[0]) for each in meant(found)]


def whole_floats(model: type[BaseModel], error: ValidationError) -> list[KeyPath]:
    """Return the places of floats such as 1e6 that are whole where a whole number is wanted."""
    found = [each for each in error.errors(include_url=False) if each["type"] in ("int_type", "int_from_float")]
    whole = [each for each in found if isinstance(each["input"], float) and each["input"].is_integer()]
    schema = schema_of(model) if whole else {}
    return [misfit(schema, each).path for each in whole]


def _together(schema: Schema, found: Sequence[Misfit]) -> Problem:
    """Return the problem with a value that fits none of several alternatives."""
    first = found[0]
    if not first.choices:
        # all of them say the same, but for the words or the keys that they allow
        if first.kind not in (UNKNOWN, *WORDS):
            return _problem(schema, first)
        allowed = sorted({key for each in found for key in keys(schema, each.node)})
        return first.path, _unknown(schema, first, allowed) if first.kind == UNKNOWN else _no_kind(found)
    path = first.path[: first.choices[0].length]
    if all(each.path == path for each in found):
        return path, _no_kind(found)
    either = {each.choices[0].name: each.choices[0].node for each in found}
    named = [_with_keys(schema, name, node) for name, node in either.items()]
    return path, f"fits neither {' nor '.join(named)}. Set one of them"


def _with_keys(schema: Schema, name: str, node: Schema) -> str:
    known = ", ".join(keys(schema, node))
    return f"{resolve(schema, node).get('title', name)} ({known})" if known else name


def _no_kind(found: Sequence[Misfit]) -> str:
    """Return the sentence on a value that is none of several kinds, nor a word of several."""
    said = list(dict.fromkeys(_wanted(each).removeprefix("must be ") for each in found))
    if "a number" in said and "a whole number" in said:
        said.remove("a whole number")
    return f"must be {' or '.join(said)}, not {_show(found[0].details['input'])}"


def _wanted(each: Misfit) -> str:
    """Return the words for what is allowed in the place of a value."""
    if each.kind in KINDS:
        return f"must be {KINDS[each.kind]}"
    return _bound(each.kind, each.details.get("ctx", {})) or _plain(each.details["msg"])


def _unknown(schema: Schema, each: Misfit, allowed: list[str]) -> str:
    key = str(each.path[-1])
    inner = [name for name in allowed if key in keys(schema, below(schema, resolve(schema, each.node), name))]
    hint = f" (did you mean {f'{inner[0]}.{key}'!r}?)" if inner else did_you_mean(key, allowed)
    return f"unknown key {key!r}{hint}; allowed: {', '.join(allowed)}"


def _problem(schema: Schema, each: Misfit) -> Problem:
    details, kind, path, bad = each.details, each.kind, each.path, each.details["input"]
    if kind == UNKNOWN:
        return path, _unknown(schema, each, keys(schema, each.node))
    if kind == "missing":
        return path, "missing; it has no default"
    if kind == "value_error":
        return path, str(details["ctx"]["error"])
    if kind.startswith("union_tag_"):
        return _no_tag(each)
    return path, f"{_wanted(each)}, not {_show(bad)}{_hint(schema, each, bad)}"


def _no_tag(each: Misfit) -> Problem:
    """Return the problem with the key that tells the alternatives of a value apart."""
    key = each.details["ctx"]["discriminator"].strip("'")
    if each.kind == "union_tag_invalid":
        return (*each.path, key), f"{_wanted(each)}, not {each.details['ctx']['tag']!r}"
    tags = " or ".join(map(repr, each.node.get("discriminator", {}).get("mapping", ())))
    return (*each.path, key), f"missing; must be {tags}"


def _bound(kind: str, ctx: dict[str, Any]) -> str | None:
    """Return the words for the allowed values, for the kinds of error that carry them."""
    match kind:
        case "greater_than":
            return f"must be more than {_number(ctx['gt'])}"
        case "greater_than_equal":
            return f"must be {_number(ctx['ge'])} or more"
        case "less_than":
            return f"must be less than {_number(ctx['lt'])}"
        case "less_than_equal":
            return f"must be {_number(ctx['le'])} or less"
        case "too_short" | "string_too_short":
            return f"must have at least {ctx['min_length']} {'items' if kind == 'too_short' else 'characters'}"
        case "too_long" | "string_too_long":
            return f"must have at most {ctx['max_length']} {'items' if kind == 'too_long' else 'characters'}"
        case "literal_error" | "enum":
            return f"must be {ctx['expected']}"
        case "union_tag_invalid":
            return f"must be {' or '.join(ctx['expected_tags'].split(', '))}"
    return None


def _number(bound: float) -> str:
    """Return a bound without a needless `.0`."""
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)


def _hint(schema: Schema, each: Misfit, bad: Any) -> str:
    """Return the next step, where it is known."""
    kind = each.kind
    if kind in ("model_type", "dict_type") and isinstance(bad, str):
        chief = next((key for key in CHIEF_KEYS if key in keys(schema, each.node)), None)
        return f"; write {{{chief}: {bad}}}" if chief else ""
    if kind.startswith("int_") and isinstance(bad, float) and bad.is_integer():
        return f"; write {int(bad)}"
    if kind == "string_type" and isinstance(bad, int | float):
        return "; put it in quotes"
    if bad in ("None", "none"):
        return "; none is written null"
    return ""


def _show(value: Any) -> str:
    """Return a value as it stands in the file, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(message: str) -> str:
    """Return pydantic's own sentence for kinds unknown here: `Input should be ...` -> `must be ...`."""
    return message.replace("Input should", "must").replace("Value error, ", "").removesuffix(".")
