"""tf.train.Example, the protocol buffer in the records, as arrays by name.

Example { Features features = 1; }      Features { map<string, Feature> feature = 1; }
Feature { BytesList = 1; FloatList = 2; Int64List = 3; }, each with `repeated value = 1`
"""

from collections.abc import Iterator

import numpy as np

from surreal.algorithms.types import Array

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
"""Kinds of fields on the wire."""
MOST_VARINT = 10
"""Bytes of a number of 64 bits."""
Value = Array | list[bytes]
"""Numbers, float32 or int64 [n], or texts."""


def read_example(data: bytes) -> dict[str, Value]:
    """Return the features of an Example by name. Raises ValueError for other bytes."""
    found: dict[str, Value] = {}
    for features in _inner(data, 1):
        for entry in _inner(features, 1):
            name, value = b"", None
            for field, part in _fields(entry):
                if field == 1:
                    name = bytes(_bytes(part))
                elif field == 2:
                    value = _feature(_bytes(part))
            if value is not None:
                found[name.decode()] = value
    return found


def _feature(data: memoryview) -> Value | None:
    for field, part in _fields(data):
        values = list(_inner_any(_bytes(part), 1))
        if field == 1:
            return [bytes(_bytes(each)) for each in values]
        if field == 2:
            return _floats(values)
        if field == 3:
            return _integers(values)
    return None


Part = memoryview | int
"""Content of a field: bytes, or a number that is no packed one."""


def _floats(values: list[Part]) -> Array:
    """Return float32 values, packed in one field or each in its own."""
    for each in values:
        if isinstance(each, int) or len(each) % 4:
            raise ValueError("a list of floats has a length that none has")
    return np.frombuffer(b"".join(bytes(_bytes(each)) for each in values), dtype="<f4")


def _integers(values: list[Part]) -> Array:
    """Return int64 values, packed in one field or each in its own."""
    parts = [np.array([each], dtype=np.uint64) if isinstance(each, int) else _varints(each) for each in values]
    return np.concatenate(parts).view(np.int64) if parts else np.zeros(0, dtype=np.int64)


def _varints(data: memoryview) -> Array:
    """Return all numbers of a packed field, uint64: seven bits a byte, the lowest first, the eighth says go on."""
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw < 128)
    if not len(raw):
        return np.zeros(0, dtype=np.uint64)
    if not len(ends) or ends[-1] != len(raw) - 1:
        raise ValueError("a list of whole numbers ends within one")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > MOST_VARINT:
        raise ValueError("a whole number has more than 64 bits")
    found = np.zeros(len(ends), dtype=np.uint64)
    for place in range(int(lengths.max())):
        there = lengths > place
        bits = (raw[starts[there] + place] & 127).astype(np.uint64)
        found[there] |= bits << np.uint64(7 * place)
    return found


def _inner(data: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    for part in _inner_any(data, wanted):
        yield _bytes(part)


def _inner_any(data: bytes | memoryview, wanted: int) -> Iterator[Part]:
    """Yield the content of every field of one number."""
    for field, part in _fields(data):
        if field == wanted:
            yield part


def _bytes(part: Part) -> memoryview:
    if isinstance(part, int):
        raise ValueError("a number stands where a message belongs")
    return part


def _fields(data: bytes | memoryview) -> Iterator[tuple[int, Part]]:
    """Yield number and content of every field. Nothing is allocated; a length beyond the end is refused."""
    view, at = memoryview(data), 0
    while at < len(view):
        key, at = _varint(view, at)
        kind = key & 7
        if kind == VARINT:
            number, at = _varint(view, at)
            yield key >> 3, number
            continue
        size = {EIGHT: 8, FOUR: 4}.get(kind, 0)
        if kind == BYTES:
            size, at = _varint(view, at)
        elif not size:
            raise ValueError(f"a field is of kind {kind}, which is none")
        if size > len(view) - at:
            raise ValueError(f"a field says {size} bytes, and {len(view) - at} are left")
        yield key >> 3, view[at : at + size]
        at += size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    number = 0
    for place in range(MOST_VARINT):
        if at + place >= len(view):
            raise ValueError("it ends within a number")
        byte = view[at + place]
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, at + place + 1
    raise ValueError("a whole number has more than 64 bits")
