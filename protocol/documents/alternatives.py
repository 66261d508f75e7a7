"""Places of errors by a JSON schema; of several alternatives for a value, the one that it is meant to be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import CoreSchema

from surreal.protocol.documents.locations import KeyPath

Schema = dict[str, Any]
KINDS = {
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
    "model_attributes_type": "a mapping (key: value)",
    "finite_number": "a finite number",
}
"""Error of pydantic for a value of another kind -> the kind that is wanted."""
CONTAINERS = {"list[": "array", "tuple[": "array", "dict[": "object"}
"""Begin of the name that pydantic gives to an alternative -> its type in a JSON schema."""
WORDS = ("literal_error", "enum", "union_tag_invalid")
"""Errors of pydantic for a value that is none of those allowed."""
UNKNOWN = "extra_forbidden"


class _Lenient(GenerateJsonSchema):
    """Schema in which a type of a person's own, of which JSON has none, may be anything."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"skipped-choice", "non-serializable-default"}

    def handle_invalid_for_json_schema(self, schema: CoreSchema, error_info: str) -> JsonSchemaValue:
        return {}


def schema_of(model: type[BaseModel]) -> Schema:
    """Return the JSON schema of a model, by which the places of its errors are read."""
    return model.model_json_schema(by_alias=True, schema_generator=_Lenient)


class Choice(NamedTuple):
    """An alternative of a union, by which an error came about."""

    length: int
    """Length of the union's path."""
    name: str
    node: Schema


@dataclass(frozen=True)
class Misfit:
    """An error of pydantic at the place of its key."""

    details: ErrorDetails
    path: KeyPath
    """Keys of the document, without the names of alternatives."""
    node: Schema
    """Part of the schema that describes the value there; of a key that is unknown, the mapping around it."""
    choices: tuple[Choice, ...] = ()
    """Alternatives on the way, of unions that are not decided."""

    @property
    def kind(self) -> str:
        """Name that pydantic gives to such errors."""
        return self.details["type"]


def misfit(schema: Schema, details: ErrorDetails) -> Misfit:
    """Return the error at its place: the names of alternatives, such as `list[any]`, are no keys."""
    place = details["loc"]
    # the last part is a key of the document whatever it looks like
    unknown = place[-1:] if details["type"] == UNKNOWN else ()
    node, path, choices, named = schema, list[int | str](), list[Choice](), False
    for part in _keys_of(place[: len(place) - len(unknown)]):
        branch = None if named else _alternative(schema, node, part)
        named = branch is not None
        if branch is None:
            path.append(part)
            node = below(schema, node, part)
        else:
            choices.append(Choice(len(path), str(part), branch))
            node = branch
    return Misfit(details, (*path, *unknown), node, tuple(choices))


def meant(errors: Sequence[Misfit]) -> Iterator[list[Misfit]]:
    """Yield the errors that belong together: one, or those of all alternatives among which none is clearly meant."""
    unions: dict[KeyPath, dict[str, list[Misfit]]] = {}
    for each in errors:
        if not each.choices:
            yield [each]
            continue
        choice = each.choices[0]
        unions.setdefault(each.path[: choice.length], {}).setdefault(choice.name, []).append(each)
    for path, branches in unions.items():
        yield from _of_union(path, branches)


def _of_union(path: KeyPath, branches: Mapping[str, list[Misfit]]) -> Iterator[list[Misfit]]:
    # an alternative of another kind than the value says nothing about what stands in it
    inner = [found for found in branches.values() if not all(each.path == path and of_kind(each) for each in found)]
    likely = _likeliest(inner) if inner else list(branches.values())
    if len(likely) == 1:
        yield from meant([replace(each, choices=each.choices[1:]) for each in likely[0]])
        return
    said = [{_said(each) for each in found} for found in likely]
    shared = said[0].intersection(*said[1:]) if inner else set()
    if not shared:
        yield [each for found in likely for each in found]
    for one in sorted(shared, key=str):
        yield [replace(each, choices=()) for found in likely for each in found if _said(each) == one]


def of_kind(each: Misfit) -> bool:
    """Return True where an error says that a value is of another kind, or none of the words that are allowed."""
    return each.kind in KINDS or each.kind in WORDS


def _likeliest(branches: Sequence[list[Misfit]]) -> list[list[Misfit]]:
    """Return the alternatives that a mapping fits best: by a key that tells them apart, then by the keys they know."""
    refused = [{each.path for each in found if each.kind in WORDS} for found in branches]
    apart = refused[0].union(*refused[1:]) - refused[0].intersection(*refused[1:])
    unknown = [sum(each.kind == UNKNOWN for each in found) for found in branches]
    ranks = [(len(words & apart), number) for words, number in zip(refused, unknown, strict=True)]
    return [found for found, rank in zip(branches, ranks, strict=True) if rank == min(ranks)]


def _said(each: Misfit) -> tuple[KeyPath, str, str]:
    """Return where and what an error says, but not which words or keys are allowed there."""
    return each.path, each.kind, "" if each.kind in (UNKNOWN, *WORDS) else each.details["msg"]


def _keys_of(place: KeyPath) -> KeyPath:
    """Return the place of an error without what is no key of the document: `[key]`, and tags such as `[range]`."""
    return tuple(part for part in place if not (isinstance(part, str) and part.startswith("[")))


def _alternative(schema: Schema, node: Schema, part: int | str) -> Schema | None:
    """Return the alternative of a union that `part` names; None where it is a key."""
    choices = list(_choices(node))
    if len(choices) < 2 or not isinstance(part, str):
        return None
    tagged = node.get("discriminator", {}).get("mapping", {})
    for choice in choices:
        name = str(choice.get("$ref", "")).rsplit("/", 1)[-1] or None
        title = resolve(schema, choice).get("title", name)
        # a model with validators of its own is called `function-after[check(), Model]`
        if name and (tagged.get(part) == choice["$ref"] or part in (name, title) or part.endswith(f", {title}]")):
            return choice
    if part in keys(schema, node):
        return None
    kind = next((kind for begin, kind in CONTAINERS.items() if part.startswith(begin)), None)
    return next((choice for choice in choices if choice.get("type") == kind), resolve(schema, node))


def _choices(node: Schema) -> Iterator[Schema]:
    """Yield the alternatives of a union, without null, which needs no name."""
    for each in [*node.get("anyOf", []), *node.get("oneOf", [])]:
        if "anyOf" in each or "oneOf" in each:
            yield from _choices(each)
        elif each.get("type") != "null":
            yield each


def below(schema: Schema, node: Schema, key: int | str) -> Schema:
    """Return what the schema says of `key`, by the alternative of the node that knows it; empty for nothing."""
    for choice in [resolve(schema, node), *_choices(node)]:
        inner = _item(choice, key) if isinstance(key, int) else choice.get("properties", {}).get(key)
        if isinstance(found := inner or choice.get("additionalProperties"), dict):
            return found
    return {}


def _item(node: Schema, index: int) -> Schema | None:
    of_place: list[Schema] = node.get("prefixItems", [])
    return of_place[index] if index < len(of_place) else node.get("items")


def keys(schema: Schema, node: Schema) -> list[str]:
    """Return the keys that a mapping may have which `node` of the schema describes."""
    return sorted(resolve(schema, node).get("properties", {}))


def resolve(schema: Schema, node: Schema) -> Schema:
    """Return `node` with its reference followed; of several alternatives the one that has keys."""
    if "$ref" in node:
        return resolve(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    for choice in [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]:
        if "properties" in (inner := resolve(schema, choice)):
            return inner
    return node
