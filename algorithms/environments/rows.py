"""Rows of observations: one array [n, ...], or a dictionary of them by dotted name where an observation has parts.

The leading dimensions are those of the caller: [n], [copies], or [steps, copies].
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from surreal.algorithms.types import Array

Rows = Any
"""Array of a space with one leaf, or dict: name of a leaf -> array. Most callers know by their view which they have."""


def mapped(function: Callable[..., Array], *rows: Rows) -> Rows:
    """Return `function` of the arrays of `rows`, leaf by leaf."""
    first = rows[0]
    if isinstance(first, dict):
        return {name: function(*(part[name] for part in rows)) for name in first}
    return function(*rows)


def finite(rows: Rows) -> bool:
    """Return True where no number is NaN or infinite."""
    arrays = rows.values() if isinstance(rows, dict) else (rows,)
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in arrays)


def at(rows: Rows, index: Any) -> Rows:
    """Return `rows` at `index` of the leading dimensions; views wherever numpy gives views."""
    return {name: array[index] for name, array in rows.items()} if isinstance(rows, dict) else rows[index]


def put(rows: Rows, index: Any, values: Rows) -> None:
    """Write `values` to `rows` at `index` of the leading dimensions."""
    if isinstance(rows, dict):
        assert isinstance(values, dict)
        for name, array in rows.items():
            array[index] = values[name]
    else:
        rows[index] = values


def like(rows: Rows, *lead: int) -> Rows:
    """Return new rows of the same types with `lead` before the shape of `rows`; their numbers are arbitrary."""
    return mapped(lambda array: np.empty((*lead, *array.shape), array.dtype), rows)


def stacked(rows: Sequence[Rows]) -> Rows:
    """Return rows one after another along a new first dimension, in the widest of their types."""
    return mapped(lambda *arrays: np.stack(arrays), *rows)


def joined(rows: Sequence[Rows], axis: int = 0) -> Rows:
    """Return rows joined along `axis`."""
    return mapped(lambda *arrays: np.concatenate(arrays, axis=axis), *rows)


def count(rows: Rows) -> int:
    """Return the length of the first dimension."""
    return len(next(iter(rows.values())) if isinstance(rows, dict) else rows)


def named(prefix: str, rows: Rows) -> dict[str, Array]:
    """Return the arrays of a message: `prefix`, or `prefix.NAME` for each leaf."""
    if not isinstance(rows, dict):
        return {prefix: rows}
    return {f"{prefix}.{name}": array for name, array in rows.items()}


def from_named(prefix: str, arrays: dict[str, Array]) -> Rows:
    """Return the rows that `named` gave these names. Raises KeyError where there are none."""
    if prefix in arrays:
        return arrays[prefix]
    start = f"{prefix}."
    found = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
    if not found:
        raise KeyError(prefix)
    return found
