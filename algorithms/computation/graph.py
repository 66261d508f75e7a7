"""Computation graphs: a network as a list of named operations, which a file can hold and any runtime can carry out.

Operations have the names and the meaning that ONNX gives them. Rows come first in every array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from surreal.algorithms.types import Array

Operand = str | Array
"""Name of a value of the graph, or an array that becomes a constant of it."""


@dataclass(frozen=True)
class Value:
    """An input or output: rows [n, *shape] of a type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Operation:
    """One operation, its operands, and the name of its result."""

    kind: str
    operands: tuple[str, ...]
    result: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "kind": self.kind,
            "operands": list(self.operands),
            "result": self.result,
            "options": dict(self.options),
        }


class Computation:
    """A graph under construction, and once it has outputs a whole one."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.constants: dict[str, Array] = {}
        self.operations: list[Operation] = []

    def input(self, name: str, shape: Sequence[int], dtype: Any) -> str:
        """Add rows [n, *shape] that the caller gives. Return their name."""
        self.inputs.append(Value(name, tuple(shape), np.dtype(dtype).name))
        return name

    def output(self, name: str, value: str, shape: Sequence[int], dtype: Any) -> None:
        """Have `value` returned as rows [n, *shape] called `name`."""
        self._add("Identity", (value,), {}, name)
        self.outputs.append(Value(name, tuple(shape), np.dtype(dtype).name))

    def add(self, kind: str, *operands: Operand, **options: Any) -> str:
        """Add an operation. Return the name of its result."""
        names = tuple(each if isinstance(each, str) else self._constant(each) for each in operands)
        return self._add(kind, names, options, f"value{len(self.operations)}")

    def dense(self, x: str, weight: Array, bias: Array | None = None) -> str:
        """Return x @ weight + bias for weights [in, out]."""
        product = self.add("MatMul", x, weight)
        return product if bias is None else self.add("Add", product, bias.reshape(-1))

    def columns(self, x: str, start: int, stop: int) -> str:
        """Return the columns `start` to `stop` of x [n, columns]."""
        return self.add("Slice", x, start=start, stop=stop)

    def reshaped(self, x: str, shape: Sequence[int]) -> str:
        """Return x as rows [n, *shape]."""
        return self.add("Reshape", x, shape=list(shape))

    def joined(self, parts: Sequence[str]) -> str:
        """Return parts [n, columns] side by side."""
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts)

    def cast(self, x: str, dtype: Any) -> str:
        """Return x with another type of numbers."""
        return self.add("Cast", x, dtype=np.dtype(dtype).name)

    def normed(self, x: str, scale: Array, shift: Array, epsilon: float) -> str:
        """Return the layer norm of x [n, width] (Ba et al. 2016)."""
        centred = self.add("Sub", x, self.add("ReduceMean", x))
        variance = self.add("ReduceMean", self.add("Mul", centred, centred))
        deviation = self.add("Sqrt", self.add("Add", variance, np.array([epsilon], np.float32)))
        return self.add("Add", self.add("Mul", self.add("Div", centred, deviation), scale), shift)

    def _constant(self, array: Array) -> str:
        name = f"constant{len(self.constants)}"
        # The caller may change the array later, and a view would be written with strides.
        self.constants[name] = np.array(array, order="C")
        return name

    def _add(self, kind: str, names: tuple[str, ...], options: Mapping[str, Any], result: str) -> str:
        self.operations.append(Operation(kind, names, result, options))
        return result

    def to_data(self) -> dict[str, Any]:
        """Return all but the constants as plain data."""
        return {
            "inputs": [each.to_data() for each in self.inputs],
            "outputs": [each.to_data() for each in self.outputs],
            "operations": [each.to_data() for each in self.operations],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], constants: Mapping[str, Array]) -> "Computation":
        """Return what `to_data` described. Raises KeyError or TypeError for what is none."""
        made = cls()
        made.inputs, made.outputs = (
            [Value(each["name"], tuple(each["shape"]), each["dtype"]) for each in data[key]]
            for key in ("inputs", "outputs")
        )
        made.constants = dict(constants)
        made.operations = [
            Operation(each["kind"], tuple(each["operands"]), each["result"], each["options"])
            for each in data["operations"]
        ]
        return made
