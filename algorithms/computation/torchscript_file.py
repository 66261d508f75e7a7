"""Computation graphs as TorchScript files: the operations in torch, traced once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from surreal.algorithms.computation.graph import Computation

ROWS = 3
"""Rows of the example that is traced: a number that no dimension is likely to have."""
DESCRIPTION = "surreal.json"
"""Name of the description inside the file: torch.jit.load(path, _extra_files={"surreal.json": ""})."""


def write(graph: Computation, about: Mapping[str, Any], path: Path) -> None:
    """Write a module that takes the graph's inputs in order and returns its outputs. Raises OSError."""
    module = Module(graph)
    examples = tuple(torch.zeros(ROWS, *each.shape, dtype=_type(each.dtype)) for each in graph.inputs)
    with torch.no_grad():
        traced = torch.jit.trace(module, examples, check_trace=False)
    try:
        torch.jit.save(traced, str(path), _extra_files={DESCRIPTION: json.dumps(about).encode()})
    except RuntimeError as error:
        # torch says no more about a disk than that it failed
        raise OSError(None, str(error).splitlines()[0], str(path)) from None


class Module(torch.nn.Module):
    """A graph as a module; its constants are buffers."""

    def __init__(self, graph: Computation) -> None:
        super().__init__()
        self._graph = graph
        for name, array in graph.constants.items():
            self.register_buffer(name, torch.from_numpy(array))

    def forward(self, *inputs: Tensor) -> Any:
        """Return the outputs of the graph in their order; one alone is no tuple."""
        graph = self._graph
        values: dict[str, Any] = {each.name: given for each, given in zip(graph.inputs, inputs, strict=True)}
        for each in graph.operations:
            operands = [values[name] if name in values else getattr(self, name) for name in each.operands]
            values[each.result] = OPERATIONS[each.kind](*operands, **each.options)
        found = tuple(values[output.name] for output in graph.outputs)
        return found[0] if len(found) == 1 else found


def _type(dtype: str) -> torch.dtype:
    found: torch.dtype = getattr(torch, dtype)
    return found


OPERATIONS: dict[str, Any] = {
    "Identity": lambda x: x,
    "MatMul": torch.matmul,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Min": torch.minimum,
    "Max": torch.maximum,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Round": torch.round,
    "Cast": lambda x, dtype: x.to(_type(dtype)),
    "ReduceMean": lambda x: x.mean(dim=-1, keepdim=True),
    "ArgMax": lambda x: x.argmax(dim=1),
    "Slice": lambda x, start, stop: x[:, start:stop],
    "Concat": lambda *parts: torch.cat(parts, dim=1),
    "Reshape": lambda x, shape: x.reshape(x.shape[0], *shape),
    "Transpose": lambda x, axes: x.permute(axes),
    "Conv": lambda x, weight, bias, stride, padding: functional.conv2d(x, weight, bias, stride, padding),
    "MaxPool": lambda x, size, stride, padding: functional.max_pool2d(x, size, stride, padding),
}
"""Operation -> function of tensors."""
