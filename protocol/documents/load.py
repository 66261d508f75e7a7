"""A document's file -> plain data and the line of every key."""

from pathlib import Path
from typing import Any

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.errors import InvalidInput


def load_file(path: Path) -> tuple[Any, Source]:
    """Return the one document in a file and the locations of its parts.

    Raises InvalidInput if the file cannot be read, is larger than a document may be, or is no document.
    """
    name = str(path)
    data, lines = strictyaml.load(_read(path), Source(name))
    return data, Source(name, lines)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(strictyaml.MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file; start from one of those in examples/") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > strictyaml.MAX_BYTES:
        raise InvalidInput(f"{path}: larger than {strictyaml.MAX_BYTES >> 20} MiB; a document is a page of text")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x}); save it as UTF-8") from None
