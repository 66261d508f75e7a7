"""Paths in an environment's options: relative to the experiment file, on every backend."""

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surreal.protocol.errors import Fatal

PATHS = ("./", "../")
"""Beginnings of a string that can be nothing but a path."""


def below_code(options: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Return `options` with each `./` path into the folder `code` written from there; both begin at one file.

    That folder is all that travels to a cluster, where nothing else of the experiment file's folder is known.
    """
    return {key: _below(value, posixpath.normpath(code)) for key, value in options.items()} if code else dict(options)


def from_file(options: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Return `options` with each path made absolute; `code` is the folder that holds the experimenter's own files.

    A string that begins with `./` or `../` is a path and has to exist. Any other string is one where it names a file
    of that folder. Raises Fatal, which names the key, for a path that leads nowhere.
    """
    if not code:
        return dict(options)
    return {key: _resolved(value, Path(code), f"env.options.{key}") for key, value in options.items()}


def _below(value: Any, code: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _below(part, code) for name, part in value.items()}
    if isinstance(value, list):
        return [_below(part, code) for part in value]
    if not isinstance(value, str) or not value.startswith(PATHS):
        return value
    inside = posixpath.relpath(posixpath.normpath(value), code)
    return value if inside.startswith("../") else f"./{inside}"


def _resolved(value: Any, code: Path, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _resolved(part, code, f"{key}.{name}") for name, part in value.items()}
    if isinstance(value, list):
        return [_resolved(part, code, f"{key}[{number}]") for number, part in enumerate(value)]
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 4096:
        return value
    path = code / value
    explicit = value.startswith(PATHS)
    if explicit and not path.exists():
        raise Fatal(f"{key}: {value!r} is not in {code}. Put the file beside the experiment file, or into spec.code.")
    return str(path.resolve()) if explicit or _is_file(path) else value


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is no name of a file, such as one that is too long
        return False
