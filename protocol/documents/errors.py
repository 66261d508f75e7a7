"""Errors of pydantic in plain words: the bad value, the allowed values, the nearest spelling."""

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from surreal.protocol.documents.locations import Problem
from surreal.protocol.errors import did_you_mean

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "int_parsing": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list such as [1, 2]",
    "tuple_type": "a list such as [1, 2]",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "finite_number": "a finite number",
}


def problems_of(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Return each problem of `error`, raised by validating with `model`, as the path of its key and a sentence."""
    schema = model.model_json_schema(by_alias=True)
    found: list[Problem] = []
    misfits: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        place = key_path(details["loc"])
        path = _without_alternatives(schema, place)
        # one of several kinds of value, which the others may fit
        if details["type"] in _KINDS and place and path == _without_alternatives(schema, place[:-1]):
            misfits.setdefault(path, []).append(details)
        else:
            found.append(_problem(schema, path, details))
    for path, kinds in misfits.items():
        if not any(other[: len(path)] == path for other, _ in found):
            found.append((path, _misfit(kinds)))
    return found


def _misfit(kinds: list[ErrorDetails]) -> str:
    """Return the sentence on a value that fits none of several kinds."""
    said = list(dict.fromkeys(_KINDS[each["type"]] for each in kinds))
    if "a number" in said and "a whole number" in said:
        said.remove("a whole number")
    return f"must be {' or '.join(said)}, not {_show(kinds[0]['input'])}"


def _without_alternatives(schema: dict[str, Any], place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of an error without the names of alternatives, such as `list[any]`, which are no keys."""
    node, path, named = schema, [], False
    for part in place:
        known = _resolve(schema, node).get("properties", {})
        named = not named and isinstance(part, str) and _is_union(node) and part not in known
        if not named:
            path.append(part)
            node = _below(schema, node, part)
    return tuple(path)


def _is_union(node: dict[str, Any]) -> bool:
    return len([each for each in node.get("anyOf", []) if each.get("type") != "null"]) > 1


def _below(schema: dict[str, Any], node: dict[str, Any], key: int | str) -> dict[str, Any]:
    """Return what the schema says of `key`, by the alternative of the node that knows it; empty for nothing."""
    for choice in [_resolve(schema, node), *node.get("anyOf", [])]:
        inner = choice.get("items") if isinstance(key, int) else choice.get("properties", {}).get(key)
        if isinstance(found := inner or choice.get("additionalProperties"), dict):
            return found
    return {}


def key_path(place: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of an error without what is no key of the document: `[key]`, and tags such as `[range]`."""
    return tuple(part for part in place if not (isinstance(part, str) and part.startswith("[")))


def _problem(schema: dict[str, Any], path: tuple[int | str, ...], details: ErrorDetails) -> Problem:
    place, kind, bad = details["loc"], details["type"], details["input"]
    if kind == "extra_forbidden":
        # its last part is a key of the document whatever it looks like
        path = (*_without_alternatives(schema, key_path(place[:-1])), place[-1])
        key, allowed = path[-1], _keys(schema, path[:-1])
        below = [f"{inner}.{key}" for inner in allowed if key in _keys(schema, (*path[:-1], inner))]
        hint = f" (did you mean {below[0]!r}?)" if below else did_you_mean(str(key), allowed)
        return path, f"unknown key {key!r}{hint}; allowed: {', '.join(allowed)}"
    if kind == "missing":
        return path, "missing; it has no default"
    if kind == "value_error":
        return path, str(details["ctx"]["error"])
    if kind in _KINDS:
        return path, f"must be {_KINDS[kind]}, not {_show(bad)}{_hint(kind, bad)}"
    return path, f"{_bound(kind, details.get('ctx', {})) or _plain(details['msg'])}, not {_show(bad)}"


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
    return None


def _number(bound: float) -> str:
    """Return a bound without a needless `.0`."""
    return str(int(bound)) if isinstance(bound, float) and bound.is_integer() else str(bound)


def _hint(kind: str, bad: Any) -> str:
    """Return the next step, where it is known."""
    if kind.startswith("int_") and isinstance(bad, float) and bad.is_integer():
        return f"; write {int(bad)}"
    if kind == "string_type" and isinstance(bad, int | float):
        return "; put it in quotes"
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


def _keys(schema: dict[str, Any], path: tuple[int | str, ...]) -> list[str]:
    """Return the keys a mapping at `path` may have, by the JSON schema of the whole."""
    node = _resolve(schema, schema)
    for key in path:
        inner = node.get("items") if isinstance(key, int) else node.get("properties", {}).get(key)
        node = _resolve(schema, inner or node.get("additionalProperties") or {})
    return sorted(node.get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Return `node` with its reference followed; of several alternatives the one that has keys."""
    if "$ref" in node:
        return _resolve(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    for choice in [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]:
        if "properties" in (inner := _resolve(schema, choice)):
            return inner
    return node
