"""Computation graphs in numpy, one function for each operation; torch-free, for `.npz` files and for checks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.types import Array


def run(graph: Computation, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of a graph by name for rows by name. Raises KeyError for an operation of a later surreal."""
    values: dict[str, Array] = {**graph.constants, **inputs}
    for each in graph.operations:
        operands = [values[name] for name in each.operands]
        values[each.result] = OPERATIONS[each.kind](*operands, **each.options)
    return {output.name: values[output.name] for output in graph.outputs}


def _sigmoid(x: Array) -> Array:
    half = x.dtype.type(0.5)
    return np.asarray(half * np.tanh(half * x) + half)


def _padded(x: Array, padding: int, value: float) -> Array:
    around = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return np.pad(x, around, constant_values=value) if padding else x


def _windows(x: Array, size: int, stride: int) -> Array:
    """Return [n, C, H', W', size, size] of images [n, C, H, W]."""
    return sliding_window_view(x, (size, size), (2, 3))[:, :, ::stride, ::stride]


def _conv(x: Array, weight: Array, bias: Array, stride: int, padding: int) -> Array:
    windows = _windows(_padded(x, padding, 0.0), weight.shape[-1], stride)
    found = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return np.asarray(found + bias[:, None, None])


def _max_pool(x: Array, size: int, stride: int, padding: int) -> Array:
    return np.asarray(_windows(_padded(x, padding, -np.inf), size, stride).max(axis=(4, 5)))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Identity": lambda x: x,
    "MatMul": lambda x, y: x @ y,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
    "Div": lambda x, y: x / y,
    "Min": np.minimum,
    "Max": np.maximum,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, x.dtype.type(0)),
    "Sigmoid": _sigmoid,
    "Round": np.rint,
    "Cast": lambda x, dtype: x.astype(dtype),
    "ReduceMean": lambda x: x.mean(axis=-1, keepdims=True),
    "ArgMax": lambda x: np.argmax(x, axis=1),
    "Slice": lambda x, start, stop: x[:, start:stop],
    "Concat": lambda *parts: np.concatenate(parts, axis=1),
    "Reshape": lambda x, shape: x.reshape(len(x), *shape),
    "Transpose": lambda x, axes: x.transpose(axes),
    "Conv": _conv,
    "MaxPool": _max_pool,
}
"""Operation -> function of arrays."""
