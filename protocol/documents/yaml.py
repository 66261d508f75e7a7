"""YAML as a person means it: the YAML 1.2 scalars, no tags, no anchors, no duplicate keys, and a line for every key.

YAML 1.1, which PyYAML reads by itself, turns `no` into False, `1:30` into 90 and `1e-3` into text. Here only
`true` and `false` are booleans, `1e-3` and `1_000_000` are numbers, and everything else is text.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from surreal.protocol.documents.locations import KeyPath, Source
from surreal.protocol.errors import InvalidInput

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_VALUES = 10_000
"""Keys, items and scalars of a document; a million of them take PyYAML half a minute."""
MAX_DIGITS = 64
"""Longest number; int() of a million digits takes minutes."""

_STR = "tag:yaml.org,2002:str"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_SCALARS: dict[str, tuple[re.Pattern[str], str]] = {
    "tag:yaml.org,2002:null": (re.compile(r"^(?:~|null|Null|NULL|)$"), "~nN\0"),
    "tag:yaml.org,2002:bool": (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    "tag:yaml.org,2002:int": (re.compile(rf"^[-+]?{_DIGITS}$"), "-+0123456789"),
    "tag:yaml.org,2002:float": (
        re.compile(
            rf"^[-+]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?[0-9]+)?$"
            r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
        ),
        "-+.0123456789",
    ),
}


class _Problem(Exception):
    """A problem at a line (counted from 0)."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class _Loader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's scalars that refuses what a document never needs."""

    yaml_implicit_resolvers: dict[str, Any] = {}
    depth = 0
    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = _next_event(self)
        line = event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            raise _Problem(line, f"aliases (*{event.anchor}) are not allowed; write the value out")
        if getattr(event, "anchor", None):
            raise _Problem(line, f"anchors (&{event.anchor}) are not allowed; write the value where it is used")
        if getattr(event, "tag", None):
            raise _Problem(line, f"tags ({event.tag}) are not allowed; write plain values")
        if self.depth >= MAX_DEPTH:
            raise _Problem(line, f"nested deeper than {MAX_DEPTH} levels")
        if self.values >= MAX_VALUES:
            raise _Problem(line, f"more than {MAX_VALUES} values")
        self.values += 1
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


if yaml.__with_libyaml__:

    class _FastLoader(yaml.CSafeLoader):
        """Parser and composer of libyaml, with the scalars of `_Loader`."""

        yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def _next_event(parser: Any) -> Any:
    """Return the event that comes next, which PyYAML's type stubs leave untyped."""
    return parser.peek_event()


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which `_Loader` would read as a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML loses U+0085 and its kin in every other style
    return dumper.represent_scalar(_STR, text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
for _tag, (_pattern, _first) in _SCALARS.items():
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(_tag, _pattern, [c if c != "\0" else "" for c in _first])


def load(text: str, source: Source) -> tuple[Any, dict[KeyPath, int]]:
    """Return the one document in `text` as plain data, and the line (from 1) of every key and item.

    Raises InvalidInput at `source` for text that is no YAML or breaks a rule of this module.
    """
    lines: dict[KeyPath, int] = {}
    try:
        return _build(_compose(text), (), lines), lines
    except _Problem as error:
        raise source.invalid_line(error.line + 1, str(error)) from None


def load_own(text: str) -> Any:
    """Return the one document in a text that this program wrote; by libyaml, 15 times as fast, where PyYAML has it.

    The rules for documents of others are not checked. Raises InvalidInput for text that is no YAML.
    """
    if not yaml.__with_libyaml__:
        return load(text, Source())[0]
    try:
        node = _FastLoader(text).get_single_node()
        assert node is not None
        return _build(node, (), {})
    except (yaml.YAMLError, _Problem) as error:
        raise InvalidInput(f"text of surreal's own: {text[:40]!r} is no YAML: {error}. Report it.") from None


def dump(data: Any) -> str:
    """Return plain data as block YAML, keys in their order; `load` reads it back unchanged."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _compose(text: str) -> yaml.Node:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        if not loader.check_node():
            raise _Problem(0, "is empty; see `surreal schema` and examples/ for what belongs there")
        node = loader.get_node()
        assert node is not None
        if loader.check_node():
            raise _Problem(_next_event(loader).start_mark.line, "a second document; write one document per file")
        return node
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _Problem(mark.line if mark else 0, f"not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise _Problem(line, f"the character U+{error.character:04X} is not allowed") from None
    except (ValueError, OverflowError) as error:
        # escapes such as "\UFFFFFFFF", for which PyYAML has no error of its own
        raise _Problem(loader.line if loader else 0, f"not YAML: {error}") from None


def _build(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    """Return `node` as plain data; `lines` gets where each key and item stands."""
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[*path, index] = item.start_mark.line + 1
        return [_build(item, (*path, index), lines) for index, item in enumerate(node.value)]
    try:
        return _scalar(node)
    except _Problem as problem:
        raise _Problem(problem.line, f"{'.'.join(map(str, path))}: {problem}" if path else str(problem)) from None


def _mapping(node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            shown = key_node.value if isinstance(key_node, yaml.ScalarNode) else "a list or mapping"
            raise _Problem(line, f"a key must be text, not {shown}; put it in quotes")
        if key in data:
            first = lines[*path, key]
            where = f"; the first is on line {first}" if first != line + 1 else ""
            raise _Problem(line, f"duplicate key {key!r}{where}")
        lines[*path, key] = line + 1
        data[key] = _build(value_node, (*path, key), lines)
    return data


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind in ("int", "float") and len(text) > MAX_DIGITS:
        raise _Problem(node.start_mark.line, f"a number of more than {MAX_DIGITS} characters")
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "float":
            return _float(text, node.start_mark.line)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _Problem(node.start_mark.line, "half of a surrogate pair is no character")
    return text


def _float(text: str, line: int) -> float:
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise _Problem(line, f"numbers must be finite, not {text}")
    return value


def load_file(path: Path) -> tuple[Any, Source]:
    """Return the one document in a file and the locations of its parts.

    Raises InvalidInput if the file cannot be read, is larger than a document may be, or is no document.
    """
    name = str(path)
    data, lines = load(_read(path), Source(name))
    return data, Source(name, lines)


def _read(path: Path, advice: str = "Start from one of those in examples/.") -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file. {advice}") from None
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}. Name a file that you may read.") from None
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"{path}: larger than {MAX_BYTES >> 20} MiB. Name a document, a page of text.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}:{line}: not UTF-8 (byte 0x{content[error.start]:02x}). Save it as UTF-8.") from None


def load_foreign(path: Path) -> dict[str, Any]:
    """Return a file of another program, a mapping of mappings in YAML 1.1, in which anchors and aliases are usual.

    Raises InvalidInput as `load_file` does, and for a file whose aliases repeat more than a document may hold.
    """
    try:
        data = yaml.safe_load(_read(path, "Name one that is there."))
    except yaml.YAMLError as error:
        text = " ".join(str(error).split())
        raise InvalidInput(f"{path}: is not YAML: {text}. Correct it.") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path}: is not YAML: {error}. Correct it.") from None
    if not isinstance(data, dict) or not all(isinstance(each, dict) for each in data.values()):
        raise InvalidInput(f"{path}: is no mapping of names to settings. Name another file.")
    if _counted(data, 0) > MAX_VALUES:
        raise InvalidInput(f"{path}: has more than {MAX_VALUES:,} values, aliases written out. Name another file.")
    return {str(key): {str(name): value for name, value in each.items()} for key, each in data.items()}


def _counted(data: Any, depth: int) -> int:
    """Return the number of values of `data`, aliases written out; too many as soon as that is clear."""
    if depth > MAX_DEPTH:
        return MAX_VALUES + 1
    total = 1
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        total += _counted(each, depth + 1)
        if total > MAX_VALUES:
            break
    return total
