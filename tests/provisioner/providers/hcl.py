"""A rendered file in Terraform's own language, for tools that read no JSON: `terraform fmt` and checkov.

A string that is one expression becomes that expression, so that a parser of the language reads it.
"""

import json
import re
from typing import Any

from tests.provisioner.providers.arguments import Table, tables


def to_hcl(main: dict[str, Any]) -> str:
    """The whole of a `main.tf.json`."""
    parts = [_body("terraform {", _terraform(main["terraform"]))]
    parts.append(_body("locals {", [f"{name} = {_value(each)}" for name, each in main.get("locals", {}).items()]))
    for name, body in main["provider"].items():
        parts.append(_body(f'provider "{name}" {{', _block(tables()[name]["provider"], body)))
    for section, prefix in (("data", "data_"), ("resource", "")):
        for kind, items in main.get(section, {}).items():
            table = tables()[kind.split("_")[0]][prefix + kind]
            for name, body in items.items():
                parts.append(_body(f'{section} "{kind}" "{name}" {{', _block(table, body)))
    return "\n".join(parts)


def _terraform(block: dict[str, Any]) -> list[str]:
    lines = [f"required_version = {json.dumps(block['required_version'])}", "required_providers {"]
    lines += [f"  {name} = {_value(each)}" for name, each in block["required_providers"].items()]
    return [*lines, "}"]


def _block(table: Table, body: dict[str, Any]) -> list[str]:
    known = {key.rstrip("*!"): inner for key, inner in table.items()}
    lines: list[str] = []
    for key, value in body.items():
        if key == "dynamic":
            for name, each in value.items():
                content = _body("content {", _block(known[name], each["content"]))
                lines += _body(f'dynamic "{name}" {{', [f"for_each = {_value(each['for_each'])}", content]).splitlines()
        elif key == "lifecycle":
            lines.append(f"lifecycle {{ ignore_changes = [{', '.join(value['ignore_changes'])}] }}")
        elif key == "depends_on":
            lines.append(f"depends_on = [{', '.join(value)}]")
        elif isinstance(known.get(key), dict):
            for each in value if isinstance(value, list) else [value]:
                lines += _body(f"{key} {{", _block(known[key], each)).splitlines()
        else:
            lines.append(f"{key} = {_value(value)}")
    return lines


def _body(head: str, lines: list[str]) -> str:
    return "\n".join([head, *(f"  {line}" for line in lines), "}"])


def _value(value: Any) -> str:
    if isinstance(value, str):
        whole = re.fullmatch(r"\$\{([^{}]*)\}", value)
        return whole[1] if whole else json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)
