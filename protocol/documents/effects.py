"""Keys that have an effect only beside certain values of others, and the sentence for one that has none.

A model declares them: `only = [Only("momentum", where={"optimizer": "sgd"})]`. They are not refused: a file may keep
a key while another one is tried.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from surreal.protocol.documents.locations import KeyPath

SOME = object()
"""Any value but none, false, 0 or an empty one."""
UNKNOWN = object()
"""Value of what is not told, or that a model of one's own does not have."""
FACT = "the "
"""Beginning of a condition that is of no key, but of what the model is used for: `the actions`."""


class Only:
    """A condition for keys of a model to have an effect."""

    def __init__(self, *keys: str, where: Mapping[str, Any] | None = None, value: Any = SOME, never: str = "") -> None:
        """Let `keys` have an effect only `where` other keys have a value: one, one of a tuple, or SOME.

        A dot leads into a model: `replay.capacity`. `value` limits this to one value of the keys themselves. `never`
        says why they have none at all, for keys that a model has from its base.
        """
        self.keys, self.where, self.value, self.never = keys, dict(where or {}), value, never

    def problem(self, model: BaseModel, facts: Mapping[str, Any]) -> str:
        """Return why the keys have no effect in `model`, and what to do; empty where they have one."""
        if self.never:
            return f"{self.never}. Leave it out"
        for key, wanted in self.where.items():
            found = facts.get(key, UNKNOWN) if key.startswith(FACT) else _value(model, key)
            if found is not UNKNOWN and not _fits(found, wanted):
                return f"{_beside(key, found)}. {_advice(key, wanted)}"
        return ""


def idle_keys(
    model: BaseModel, facts: Mapping[str, Any] | None = None, usual: BaseModel | None = None, above: KeyPath = ()
) -> Iterator[tuple[KeyPath, str]]:
    """Yield the path and a sentence for each key of `model` that is not its default and has no effect.

    Of several reasons the first is said. `usual` has the defaults, those of the fields unless it is given.
    """
    said: set[str] = set()
    for condition in _conditions(type(model)):
        for key in condition.keys:
            value = getattr(model, key)
            limited = condition.value is not SOME and value != condition.value
            if key in said or limited or value == _default(model, key, usual):
                continue
            if problem := condition.problem(model, facts or {}):
                said.add(key)
                yield (*above, key), f"{shown(value)} has no effect {problem}."
    for key in type(model).model_fields:
        inner = getattr(model, key)
        if isinstance(inner, BaseModel) and key not in said:
            default = _default(model, key, usual)
            same = default if isinstance(default, type(inner)) else None
            yield from idle_keys(inner, facts, same, (*above, key))


def _conditions(model: type[BaseModel]) -> Iterator[Only]:
    for each in model.__mro__:
        yield from vars(each).get("only", ())


def _default(model: BaseModel, key: str, usual: BaseModel | None) -> Any:
    if usual is not None:
        return getattr(usual, key)
    field: FieldInfo = type(model).model_fields[key]
    return field.get_default(call_default_factory=True, validated_data=dict(model))


def _value(model: Any, key: str) -> Any:
    for part in key.split("."):
        model = getattr(model, part, UNKNOWN)
    return model


def _fits(found: Any, wanted: Any) -> bool:
    if wanted is SOME:
        return bool(found)
    return found in wanted if isinstance(wanted, tuple) else bool(found == wanted)


def _beside(key: str, found: Any) -> str:
    return f"where {key} are {found}" if key.startswith(FACT) else f"with {key}: {shown(found)}"


def _advice(key: str, wanted: Any) -> str:
    if key.startswith(FACT):
        return "Leave it out"
    if wanted is None:
        return "Leave one of them out"
    each = wanted if isinstance(wanted, tuple) else (wanted,)
    return f"Leave it out, or set {key}" + ("" if wanted is SOME else f": {' or '.join(map(shown, each))}")


def shown(value: Any) -> str:
    """Return a value as it stands in a file."""
    if isinstance(value, BaseModel):
        return "it"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
