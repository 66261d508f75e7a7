"""Kubernetes quantities: `500m` CPU is half a core, `1Gi` memory is 2**30 bytes. Plain numbers mean themselves."""

import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_UNITS = {"": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)([a-zA-Z]*)")
_MEMORY = r"^([0-9]{1,12}(?:\.[0-9]{1,6})?)(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_CPU = r"^([0-9]{1,9}(?:\.[0-9]{1,6})?)(m)?$"


@lru_cache(maxsize=4096)  # thousands of nodes and pods say the same few
def parse_quantity(text: str | float) -> float:
    """Return any quantity of the Kubernetes API as a number: `3920m` is 3.92, `16Gi` 2**34.

    Raises ValueError for a text that is none.
    """
    match = _QUANTITY.fullmatch(str(text))
    if not match or match[2] not in _UNITS:
        raise ValueError(f"must be a quantity such as 500m or 16Gi, not {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def parse_cpu(value: Any) -> Any:
    """Return cores: `"500m"`, `"2"`, 0.5. Other types pass through; ValueError for a text that is no number of cores.

    Documents take fewer spellings than the API, so that a slip is found.
    """
    if not isinstance(value, str):
        return value
    if not re.fullmatch(_CPU, value):
        raise ValueError(f"must be a number of cores such as 2, 0.5 or 500m, not {value!r}")
    return parse_quantity(value)


def parse_memory(value: Any) -> Any:
    """Return bytes: `"1Gi"`, `"512Mi"`, 1000000. Other types pass through; ValueError for a text that is no size."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(_MEMORY, value):
        raise ValueError(f"must be an amount of memory such as 512Mi, 1Gi or a number of bytes, not {value!r}")
    return int(parse_quantity(value))


def format_memory(size: int) -> str | int:
    """Return the exact spelling of documents: 2**30 is `"1Gi"`; a number where no binary unit says it exactly."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % int(_UNITS[unit]) == 0:
            return f"{size // int(_UNITS[unit])}{unit}"
    return size


def format_size(size: float) -> str:
    """Return bytes rounded for people: `2.0 GiB` or `512 MiB`."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


Cpu = Annotated[
    float,
    BeforeValidator(parse_cpu),
    Field(gt=0),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": _CPU}]}),
]
"""Cores; half a core is 0.5 or `500m`."""

Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    Field(gt=0),
    PlainSerializer(format_memory),
    WithJsonSchema({"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string", "pattern": _MEMORY}]}),
]
"""Bytes; written as `1Gi` or `512Mi` in documents."""
