"""Base of the models of all documents: strictness, spelling, and names that Kubernetes takes."""

import re
from contextlib import suppress
from copy import deepcopy
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from surreal.protocol.documents.documented import Documented
from surreal.protocol.documents.errors import problems_of, whole_floats
from surreal.protocol.documents.locations import KeyPath, Problem

API_VERSION: Literal["surreal.dev/v1alpha1"] = "surreal.dev/v1alpha1"
MAX_NAME_CHARS = 40
"""Longest name of an experiment or cluster: a pod is called NAME-ROLE-INDEX and may have 63 characters."""

Document = TypeVar("Document", bound=BaseModel)


class Spec(Documented):
    """Frozen, strict, knows all its keys, spelled in camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


def dns_label(name: str, longest: int = MAX_NAME_CHARS) -> str:
    """Return `name` if it can be one part of a host name; else ValueError with a legal name near it."""
    if len(name) <= longest and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name):
        return name
    legal = re.sub(r"[^a-z0-9]+", "-", name.lower())[:longest].strip("-") or "my-run"
    allowed = f"lower-case letters, digits and '-' inside, at most {longest} characters"
    raise ValueError(f"must be a DNS label ({allowed}), not {name!r}; for example {legal!r}")


def check_cidr(text: str) -> str:
    """Return the network `text` in its usual spelling. Raises ValueError for what is none."""
    from ipaddress import ip_network

    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"must be a network such as 203.0.113.0/24 or one address/32, not {text!r}") from None


def _label(text: str) -> str:
    if re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", text):
        return text
    raise ValueError(f"must be letters, digits, '-', '_' and '.', at most 63 characters, not {text!r}")


DnsLabel = Annotated[str, AfterValidator(dns_label), Field(json_schema_extra={"maxLength": MAX_NAME_CHARS})]
Label = Annotated[str, AfterValidator(_label)]


def validated(model: type[Document], data: object, above: KeyPath = ()) -> tuple[Document | None, list[Problem]]:
    """Return the model of `data`, which stands at `above` in the document; or the problems with it.

    A float that is whole, such as 1e6, counts as a whole number where one is needed.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        if whole := whole_floats(model, error):
            return _validated(model, _with_whole_numbers(data, whole), above)
        return None, _problems(model, error, above)


def _validated(model: type[Document], data: object, above: KeyPath) -> tuple[Document | None, list[Problem]]:
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, _problems(model, error, above)


def _problems(model: type[BaseModel], error: ValidationError, above: KeyPath) -> list[Problem]:
    return [((*above, *path), text) for path, text in problems_of(model, error)]


def _with_whole_numbers(data: Any, paths: list[tuple[int | str, ...]]) -> Any:
    """Return a copy of `data` with the floats at `paths` as whole numbers, but for those in what cannot be changed."""
    changed = deepcopy(data)
    for path in paths:
        parent = changed
        # a tuple of a Python program, or a place that the names of alternatives hide
        with suppress(LookupError, TypeError):
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = int(parent[path[-1]])
    return changed


Cidr = Annotated[str, AfterValidator(check_cidr)]
"""A network such as 203.0.113.0/24."""
