"""features.json, which says what the numbers of a record mean: names, shapes and types."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from surreal.algorithms.datasets.rlds.example import Value
from surreal.algorithms.types import Array

MOST_DEPTH = 20
SEQUENCES = ("sequence", "dataset")
PLAIN = frozenset(
    f"{kind}{bits}"
    for kind, sizes in (("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)), ("float", (16, 32, 64)))
    for bits in sizes
) | {"bool"}


@dataclass(frozen=True)
class Leaf:
    """Array of one feature of the steps of an episode."""

    name: str
    """Name in the record: `steps/observation/position`."""
    shape: tuple[int, ...]
    """Shape of one step."""
    dtype: str
    refused: str = ""
    """Reason why it cannot be read; empty where it can."""

    def array(self, value: Value | None) -> Array:
        """Return the array [steps, ...] of a record's value. Raises ValueError where it does not fit."""
        if self.refused:
            raise ValueError(f"{self.name}: {self.refused}")
        if value is None:
            raise ValueError(f"{self.name} is missing")
        if isinstance(value, list):
            raise ValueError(f"{self.name} holds texts, not numbers")
        size = prod(self.shape)
        if size == 0 or len(value) % size:
            raise ValueError(f"{self.name} has {len(value)} numbers, not a multiple of {size}")
        return value.astype(self.dtype, copy=False).reshape(-1, *self.shape)


Tree = Leaf | Mapping[str, Any]
"""Leaves by name, nested."""


def read_features(data: bytes) -> Mapping[str, Tree]:
    """Return the features of a step by name. Raises ValueError for what describes no RLDS dataset."""
    try:
        steps = json.loads(data)["featuresDict"]["features"]["steps"]
        inner = next(steps[key]["feature"] for key in SEQUENCES if key in steps)
        found = _tree(inner, "steps", 0)
    except (KeyError, TypeError, StopIteration, AttributeError) as error:
        raise ValueError(f"it describes no steps: {error!r}") from None
    if isinstance(found, Leaf):
        raise ValueError("its steps have no features by name")
    return found


def _tree(feature: Mapping[str, Any], name: str, depth: int) -> Tree:
    if depth > MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if "featuresDict" in feature:
        features = feature["featuresDict"]["features"]
        return {key: _tree(part, f"{name}/{key}", depth + 1) for key, part in features.items()}
    if "tensor" not in feature:
        kind = str(feature.get("pythonClassName", "unknown")).rpartition(".")[2]
        return Leaf(name, (), "", f"features of kind {kind} cannot be read without TensorFlow")
    return _leaf(feature["tensor"], name)


def _leaf(tensor: Mapping[str, Any], name: str) -> Leaf:
    shape = tuple(int(size) for size in (tensor.get("shape") or {}).get("dimensions", ()))
    dtype, encoding = str(tensor.get("dtype")), str(tensor.get("encoding", "none")).lower()
    refused = ""
    if dtype not in PLAIN:
        refused = f"numbers of type {dtype} cannot be read"
    elif encoding not in ("", "none"):
        refused = f"numbers that are encoded as {encoding} cannot be read"
    elif any(size < 0 for size in shape):
        refused = "a shape that differs from step to step cannot be read"
    return Leaf(name, shape, dtype, refused)


def arrays(tree: Tree, values: Mapping[str, Value]) -> Any:
    """Return the arrays of a tree, nested as it is. Raises ValueError where one is missing or does not fit."""
    if isinstance(tree, Leaf):
        return tree.array(values.get(tree.name))
    return {key: arrays(part, values) for key, part in tree.items()}


def flag(tree: Mapping[str, Tree], name: str, values: Mapping[str, Value]) -> Array:
    """Return a flag of the steps, bool [steps]."""
    return np.asarray(arrays(tree[name], values), dtype=np.bool_).reshape(-1)
