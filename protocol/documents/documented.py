"""Models whose schema describes each field by the string below it in the source.

Sources are read when a schema is made and not when a class is: every process of a run imports models, and few show one.
"""

import ast
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Documented(BaseModel):
    """Base of models with strings below their fields. A model is built when it is first used: few of them ever are."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the model with the description of every field."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in descriptions(cls).items():
            field = cls.model_fields.get(name)
            shown = properties.get(field.alias or name) if field else None
            if shown is not None and not (field and field.description):
                shown["description"] = text
        return schema


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return field -> the string below it, of a model and the models that it extends."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Documented) and each is not Documented:
            found |= dict(_strings(each))
    return found


def _strings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    try:
        tree = ast.parse(dedent(inspect.getsource(model)))
    except (OSError, TypeError, SyntaxError):  # a model that a program made has no source
        return
    (definition,) = tree.body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for pair in zip(body, body[1:], strict=False):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(text))):
                yield field, inspect.cleandoc(text)
