"""`--set spec.seed=3`: one value of a document replaced from the command line."""

from typing import Any

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import SET, KeyPath, Source
from surreal.protocol.errors import InvalidInput


def apply(data: Any, override: str, lines: dict[KeyPath, int]) -> Any:
    """`data` with `path.to.key=VALUE` set, VALUE in YAML; keys on the way are made.

    Marks in `lines` what was set, so that later errors name `--set`. Raises InvalidInput for a text of another form
    and for a path through something that is no mapping. Whether the key exists is the document's models' to say.
    """
    dotted, equals, text = override.partition("=")
    path = tuple(dotted.strip().split("."))
    if not equals or not all(path):
        raise InvalidInput(f"--set {override}: must be path.to.key=value, for example --set spec.seed=3")
    if not text.strip():
        raise InvalidInput(f"--set {override}: has no value; write null or '' for none")
    value, _ = strictyaml.load(text, Source(f"--set {dotted}"))
    for known in [known for known in lines if known[: len(path)] == path]:
        del lines[known]
    _parent(data, path, lines)[path[-1]] = value
    lines[path] = SET
    return data


def _parent(data: Any, path: KeyPath, lines: dict[KeyPath, int]) -> dict[Any, Any]:
    """The mapping that holds the last key of `path`; missing ones on the way are made."""
    for depth, key in enumerate(path, start=1):
        if not isinstance(data, dict):
            above = ".".join(map(str, path[: depth - 1])) or "the document"
            what = "a list; set the whole of it" if isinstance(data, list) else f"{data!r}, which has no keys"
            raise InvalidInput(f"--set {'.'.join(map(str, path))}: {above} is {what}")
        if depth == len(path):
            return data
        if key not in data:
            data[key] = {}
            lines[path[:depth]] = SET
        data = data[key]
    raise AssertionError("a path has at least one key")
