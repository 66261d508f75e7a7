"""Structural schemas of Kubernetes from the JSON Schemas of pydantic.

An API server takes a dialect: no references, one type for each node, no null, bounds that exclude as a flag. What the
dialect cannot say (a number or a text, any value at all) stays open there, and the models check it.
"""

from collections.abc import Mapping
from typing import Any

Node = dict[str, Any]
"""One node of a schema."""
OPEN = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
BOUNDS = ("minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties", "maxProperties", "format")
MOST_ENTRIES, MOST_ITEMS, MOST_CHARS = 64, 64, 1024
"""Sizes where the models give none: the server bounds the cost of its rules by them."""


def structural(schema: Node) -> Node:
    """Return the structural schema of a document's JSON Schema, with its defaults and descriptions."""
    return _node(schema, schema.get("$defs", {}))


def _node(schema: Node, defined: Mapping[str, Node]) -> Node:
    if "$ref" in schema:
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**defined[schema["$ref"].rpartition("/")[2]], **rest}
    if "anyOf" in schema:
        return _described(schema, _choice([each for each in schema["anyOf"] if each.get("type") != "null"], defined))
    return _described(schema, _typed(schema, defined))


def _described(schema: Node, made: Node) -> Node:
    """Return `made` with the meaning and the default of `schema`."""
    default = _without_nulls(schema.get("default"))
    said = {"description": schema["description"]} if "description" in schema else {}
    return {**said, **made, **({"default": default} if default is not None else {})}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


def _typed(schema: Node, defined: Mapping[str, Node]) -> Node:
    match schema.get("type"):
        case "object":
            return _object(schema, defined)
        case "array":
            items = _node(schema.get("items", {}), defined)
            return {"type": "array", "maxItems": MOST_ITEMS, **_bounds(schema), "items": items}
        case "string":
            choices = [schema["const"]] if "const" in schema else schema.get("enum")
            limit = {"enum": list(choices)} if choices else {"maxLength": MOST_CHARS}
            return {"type": "string", **limit, **_bounds(schema)}
        case "integer" | "number" as kind:
            return {"type": kind, **({"format": "int64"} if kind == "integer" else {}), **_range(schema)}
        case "boolean":
            return {"type": "boolean"}
        case _:
            return {OPEN: True}


def _object(schema: Node, defined: Mapping[str, Node]) -> Node:
    values = schema.get("additionalProperties")
    if values is True:
        return {"type": "object", OPEN: True}
    if isinstance(values, dict):
        inner = _node(values, defined)
        return {"type": "object", "maxProperties": MOST_ENTRIES, **_bounds(schema), "additionalProperties": inner}
    properties = {key: _node(each, defined) for key, each in schema.get("properties", {}).items()}
    required = {"required": list(schema["required"])} if schema.get("required") else {}
    return {"type": "object", **required, "properties": properties}


def _choice(kinds: list[Node], defined: Mapping[str, Node]) -> Node:
    """Return the node of a value of one of several kinds."""
    if len(kinds) == 1:
        return _node(kinds[0], defined)
    types = {each.get("type") for each in kinds}
    if types == {"integer", "number"}:
        return {"type": "number"}
    text = next((each for each in kinds if each.get("type") == "string"), {})
    if types == {"integer", "string"}:
        return {INT_OR_STRING: True, **_bounds(text)}
    if types == {"number", "string"}:
        # No type holds both. Bounds hold for the kind of value that they are of; these refuse lists and objects.
        number = next(each for each in kinds if each["type"] == "number")
        return {OPEN: True, "maxItems": 0, "maxProperties": 0, **_bounds(text), **_range(number)}
    return {OPEN: True}


def _bounds(schema: Node) -> Node:
    return {key: schema[key] for key in BOUNDS if key in schema}


def _range(schema: Node) -> Node:
    """Return the bounds of a number, each with a flag that excludes it."""
    made: Node = {}
    for side, excluding in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if excluding in schema:
            made |= {side: schema[excluding], excluding: True}
        elif side in schema:
            made[side] = schema[side]
    return made
