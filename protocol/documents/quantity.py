"""Kubernetes quantities: `500m` CPU is half a core, `1Gi` memory is 2**30 bytes. Plain numbers mean themselves."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_BYTES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_MEMORY = r"^([0-9]{1,12}(?:\.[0-9]{1,6})?)(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_CPU = r"^([0-9]{1,9}(?:\.[0-9]{1,6})?)(m)?$"


def parse_cpu(value: Any) -> Any:
    """`"500m"`, `"2"`, 0.5 -> cores. What is no text passes through; ValueError for a text that is no quantity."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_CPU, value)
    if not match:
        raise ValueError(f"must be a number of cores such as 2, 0.5 or 500m, not {value!r}")
    return float(match[1]) / (1000 if match[2] else 1)


def parse_memory(value: Any) -> Any:
    """`"1Gi"`, `"512Mi"`, 1000000 -> bytes. What is no text passes through; ValueError for a text that is none."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(_MEMORY, value)
    if not match:
        raise ValueError(f"must be an amount of memory such as 512Mi, 1Gi or a number of bytes, not {value!r}")
    return int(float(match[1]) * _BYTES[match[2] or ""])


def format_memory(size: int) -> str | int:
    """Bytes -> the largest binary unit that says it exactly: 2**30 -> `"1Gi"`; else the number itself."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return size


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
