"""Explanations of keys: type, default, bounds, meaning and paper, from the models that check the files."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from surreal.orchestrator.experiment.load import experiment_schema
from surreal.protocol.errors import InvalidInput, did_you_mean

CONFIG, ALGORITHM = "spec.algorithm.config", ("spec", "algorithm", "config")
PAPER = re.compile(r"\b[A-Z][\w'-]+(?: & [A-Z][\w'-]+| et al\.)? (?:19|20)\d\d[a-z]?\b")
"""`Schulman et al. 2016`, `Saxe & Koltun 2014`."""
NAMED = "NAME"
BOUNDS = {
    "minimum": ">=",
    "maximum": "<=",
    "exclusiveMinimum": ">",
    "exclusiveMaximum": "<",
    "multipleOf": "multiple of",
}
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """One key of an experiment file."""

    key: str
    algorithm: str
    """Algorithm whose config it is of; empty for other keys."""
    type: str
    default: str
    """Value in JSON; empty where there is none, and where the algorithm has its own."""
    required: bool
    bounds: str
    meaning: str
    paper: str
    keys: tuple[str, ...]
    """Keys inside it."""

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "keys": list(self.keys)}


@cache
def _schema() -> Schema:
    return experiment_schema()


def explain(key: str, algorithm: str | None = None) -> list[Explanation]:
    """Return the explanations of a key: one, or one for each algorithm whose config has it.

    Raises InvalidInput with the nearest key.
    """
    whole = _schema()
    path = tuple(part for part in key.split(".") if part)
    if path[:3] == ALGORITHM:
        return _of_configs(whole, path, algorithm)
    found = _walk(whole, whole, path)
    if found is None:
        raise _unknown(whole, whole, path, key)
    return [_explanation(whole, *found, ".".join(path), "")]


def _of_configs(whole: Schema, path: tuple[str, ...], algorithm: str | None) -> list[Explanation]:
    names = sorted(name.removesuffix(".config") for name in whole["$defs"] if name.endswith(".config"))
    if algorithm is not None and algorithm not in names:
        known = ", ".join(names)
        raise InvalidInput(f"--algorithm: {algorithm!r} is not known{did_you_mean(algorithm, names)}. Known: {known}.")
    found, key = [], ".".join(path)
    for name in [algorithm] if algorithm else names:
        there = _walk(whole, whole["$defs"][f"{name}.config"], path[3:])
        if there is not None:
            found.append(_explanation(whole, *there, key, name))
    if not found:
        first = {"$ref": f"#/$defs/{algorithm or 'ppo'}.config"}
        raise _unknown(whole, first, path[3:], key)
    return found


def _walk(whole: Schema, schema: Schema, path: tuple[str, ...]) -> tuple[Schema, Schema, bool] | None:
    """Return the schema of a key as its parent says it, resolved, and whether it is required; None for no such key."""
    said: Schema = schema
    inner, required = _resolved(whole, schema), True
    for part in path:
        properties = inner.get("properties", {})
        if part in properties:
            said, required = properties[part], part in inner.get("required", ())
        elif isinstance(inner.get("additionalProperties"), Mapping):
            # Roles and channels are named by the file.
            said, required = inner["additionalProperties"], False
        else:
            return None
        inner = _resolved(whole, said)
    return said, inner, required


def _resolved(whole: Schema, schema: Schema) -> Schema:
    """Return what a reference means, or the one mapping among alternatives."""
    while True:
        if "$ref" in schema:
            schema = whole["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        elif "anyOf" in schema and any("$ref" in each for each in schema["anyOf"]):
            schema = next(each for each in schema["anyOf"] if "$ref" in each)
        else:
            return schema


def _unknown(whole: Schema, schema: Schema, path: tuple[str, ...], key: str) -> InvalidInput:
    """Return the error that names the keys at the place where the path ends."""
    inner = _resolved(whole, schema)
    for number, part in enumerate(path):
        known = list(inner.get("properties", {}))
        there = _walk(whole, inner, (part,))
        if there is None:
            above = ".".join(key.split(".")[: len(key.split(".")) - len(path) + number]) or "the file"
            has = f"{above} has {', '.join(known)}" if known else f"{above} has no keys"
            near = _deeper(whole, key) or did_you_mean(part, known)
            return InvalidInput(f"{key}: unknown key {part!r}{near}. Known: {has}.")
        inner = there[1]
    return InvalidInput(f"{key}: unknown key. Print all with surreal schema.")


def _deeper(whole: Schema, key: str) -> str:
    """Return ` (did you mean 'spec.seed'?)` for a key that stands there; empty for another."""
    configs = [node for name, node in whole["$defs"].items() if name.endswith(".config")]
    places = [("spec", whole, ("spec",)), *((CONFIG, node, ()) for node in configs)]
    for above, node, path in places:
        if _walk(whole, node, (*path, *key.split("."))):
            return f" (did you mean '{above}.{key}'?)"
    return ""


def _explanation(whole: Schema, said: Schema, inner: Schema, required: bool, key: str, algorithm: str) -> Explanation:
    meaning = " ".join(str(said.get("description") or inner.get("description", "")).split())
    papers = dict.fromkeys(PAPER.findall(meaning))
    mapping = bool(inner.get("properties"))
    default = "" if required or "default" not in said or (mapping and said["default"]) else json.dumps(said["default"])
    return Explanation(
        key,
        algorithm,
        "mapping" if mapping else _type(said),
        default,
        required,
        _bounds(said),
        meaning,
        ", ".join(papers),
        tuple(inner.get("properties", {})),
    )


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "$ref" in schema:
        inner = _resolved(_schema(), schema)
        return f"{{{', '.join(inner['properties'])}}}" if "properties" in inner else _type(inner)
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(each) for each in alternatives))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    return {"object": "mapping", "string": "text", "integer": "whole number", "boolean": "true or false"}.get(
        str(schema.get("type", "any value")), str(schema.get("type", "any value"))
    )


def _bounds(schema: Schema) -> str:
    parts = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    return ", ".join(f"{sign} {part[key]:.10g}" for part in parts for key, sign in BOUNDS.items() if key in part)


def reference() -> Iterator[tuple[str, list[Explanation]]]:
    """Yield a title and the keys of each part of an experiment file, those of each algorithm's config apart."""
    whole = _schema()
    metadata = [explain("metadata.name")[0], explain("metadata.labels")[0]]
    yield "Experiment", [*metadata, *below(explain("spec")[0])]
    for name in sorted(name.removesuffix(".config") for name in whole["$defs"] if name.endswith(".config")):
        inside = [f"{CONFIG}.{key}" for key in whole["$defs"][f"{name}.config"]["properties"]]
        yield name, [explain(key, name)[0] for key in inside]


def below(found: Explanation) -> Iterator[Explanation]:
    """Yield all keys inside one, and those inside them; the config of an algorithm is a part of its own."""
    node = found if found.keys else _named(found)
    for inner in node.keys:
        each = explain(f"{node.key}.{inner}", node.algorithm or None)[0]
        if each.key == CONFIG:
            each = replace(each, algorithm="", required=False, meaning="The algorithm's settings.", keys=())
        yield each
        yield from below(each)


def _named(found: Explanation) -> Explanation:
    """Return what the file may name as it likes inside a key, such as a role: `spec.roles.NAME`."""
    key = f"{found.key}.{NAMED}"
    there = None if found.keys or found.algorithm else _walk(_schema(), _schema(), tuple(key.split(".")))
    return _explanation(_schema(), *there, key, "") if there else replace(found, keys=())


def markdown() -> str:
    """Return the reference of all keys as a page."""
    lines = ["# Keys of experiment files", "", "The same texts as `surreal explain KEY`.", ""]
    for title, keys in reference():
        lines += [f"## {title}", "", "| key | type | default | bounds | meaning |", "|---|---|---|---|---|"]
        for each in keys:
            name = each.key.removeprefix(f"{CONFIG}.")
            cells = (f"`{name}`", each.type, f"`{each.default}`" if each.default else "", each.bounds, each.meaning)
            lines.append(f"| {' | '.join(cell.replace('|', ', ') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)
