"""The providers' own tables of arguments, and what they would say of a rendered file."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
META = {"depends_on", "lifecycle", "provider", "for_each", "count"}
"""What Terraform itself takes in every resource."""

Table = dict[str, Any]


@cache
def tables() -> dict[str, dict[str, Table]]:
    """Provider -> resource -> its arguments, in the notation that the files explain."""
    return {p: json.loads((DATA / f"terraform-{p}.json").read_text())["resources"] for p in ("google", "aws", "helm")}


def complaints(main: dict[str, Any]) -> list[str]:
    """What the providers would refuse in a `main.tf.json`."""
    found: list[str] = []
    for prefix, section in (("", "resource"), ("data_", "data")):
        for kind, items in main.get(section, {}).items():
            table = tables()[kind.split("_")[0]][prefix + kind]
            for name, body in items.items():
                bare = {key: value for key, value in body.items() if key not in META}
                found += _block(table, bare, f"{kind}.{name}")
    for name, body in main["provider"].items():
        found += _block(tables()[name]["provider"], body, f"provider {name}")
    return found


def _block(table: Table, body: dict[str, Any], path: str) -> Iterator[str]:
    known = {key.rstrip("*!"): key for key in table}
    dynamic = body.get("dynamic", {})
    given = {**body, **{key: block["content"] for key, block in dynamic.items()}}
    given.pop("dynamic", None)
    for key, value in given.items():
        if key not in known:
            yield f"{path}: does not know {key}"
        elif isinstance(inner := table[known[key]], dict):
            blocks = value if isinstance(value, list) else [value]
            if len(blocks) > 1 and "*" not in known[key]:
                yield f"{path}: has several {key}"
            for each in blocks:
                yield from _block(inner, each, f"{path}.{key}")
    for key, marked in known.items():
        if "!" in marked and key not in given:
            yield f"{path}: misses {key}"
