"""Base of every algorithm's config, and the types that its keys share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Config(BaseModel):
    """Hyperparameters of an algorithm: frozen, strict about types, and without unknown keys.

    Each field has a default. A string below a field is its documentation, which `surreal schema` shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
