"""Memory: an LSTM or a GRU, step by step for acting, over whole sequences with resets inside for learning.

A state is one array [n, state_size]: h and c side by side of an LSTM, h of a GRU. Gates lie as in torch.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.models.blocks import Part, sigmoid
from surreal.algorithms.models.config import MemoryConfig
from surreal.algorithms.types import Array

if TYPE_CHECKING:
    from torch import Tensor

Step = Callable[[Array, Array], tuple[Array, Array]]
"""Inputs [n, inputs], state [n, state_size] -> outputs [n, width], next state [n, state_size]."""


class Memory:
    """Cell of one layer; names its parameters as torch's LSTM and GRU do."""

    def __init__(self, name: str, inputs: int, config: MemoryConfig) -> None:
        self.kind, self.width = config.kind, config.size
        self.state_size = config.size * (2 if config.kind == "lstm" else 1)
        gates = config.size * (4 if config.kind == "lstm" else 3)
        self._names = [f"{name}.{part}" for part in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")]
        shapes = ((gates, inputs), (gates, config.size), (gates,), (gates,))
        gains = (1.0, 1.0, 0.0, 0.0)
        self.parts = {
            name: Part(shape, gain, config.size) for name, shape, gain in zip(self._names, shapes, gains, strict=True)
        }
        # The second block of both cells' gates is the one that keeps: an LSTM's forget gate, a GRU's update gate.
        bias, kept = self._names[2], (config.size, 2 * config.size, config.forget_bias)
        self.parts[bias] = self.parts[bias]._replace(raised=kept)

    def acting(self, views: Mapping[str, Array]) -> Step:
        """Return one step in numpy (Gers et al. 2000; Cho et al. 2014 as torch has it)."""
        into, inside, bias_into, bias_inside = (views[name] for name in self._names)
        return (
            _lstm(into, inside, bias_into + bias_inside)
            if self.kind == "lstm"
            else _gru(into, inside, bias_into, bias_inside)
        )

    def torch(self, tensors: Mapping[str, "Tensor"], rows: "Tensor", states: "Tensor", cut: "Segments") -> "Tensor":
        """Return the outputs [rows, width] of `rows` [rows, inputs], which `cut` says the segments of.

        states: [copies, state_size], the states before row 0 of each copy.
        """
        import torch

        weights = [tensors[name] for name in self._names]
        gather, segment, position = (
            torch.as_tensor(part, device=rows.device) for part in (cut.gather, cut.segment, cut.position)
        )
        begin, kept = torch.as_tensor(cut.copy, device=rows.device), torch.as_tensor(cut.kept, device=rows.device)
        first = (states[begin] * kept[:, None]).to(rows.dtype)
        out = self._unrolled(rows[gather], first, weights)
        found: Tensor = out[position, segment]
        return found

    def _unrolled(self, padded: "Tensor", first: "Tensor", weights: "list[Tensor]") -> "Tensor":
        """Return the outputs [time, segments, width] of `padded` [time, segments, inputs] from the states `first`."""
        import torch

        on_gpu = padded.is_cuda
        # cuDNN has no gradient of what it did not compute to train
        train = on_gpu and torch.is_grad_enabled()
        # 1 layer, biases, no dropout, one direction, time first: the functions behind torch.nn.LSTM and GRU
        options = (True, 1, 0.0, train, False, False)
        if on_gpu:
            # autocast would have it compute in float16, below which gradients vanish
            padded, first = padded.float(), first.float()
        first = first.unsqueeze(0)
        with torch.autocast("cuda", enabled=False), warnings.catch_warnings():
            # it copies weights that do not begin the vector of all parameters, which is little work
            warnings.filterwarnings("ignore", message="RNN module weights are not part")
            if self.kind == "gru":
                return torch.gru(padded, first.contiguous(), weights, *options)[0]
            h, c = (part.contiguous() for part in first.split(self.width, dim=-1))
            return torch.lstm(padded, (h, c), weights, *options)[0]

    def symbolic(self, graph: Computation, views: Mapping[str, Array], x: str, state: str) -> tuple[str, str]:
        """Add one step to a graph. Return the names of its outputs [n, width] and of the next state."""
        into, inside, bias_into, bias_inside = (views[name] for name in self._names)
        size, parts = self.width, len(into) // self.width
        hidden = graph.columns(state, 0, size)
        a, b = graph.dense(x, into.T, bias_into), graph.dense(hidden, inside.T, bias_inside)
        given = [graph.columns(a, part * size, (part + 1) * size) for part in range(parts)]
        kept = [graph.columns(b, part * size, (part + 1) * size) for part in range(parts)]
        if self.kind == "lstm":
            into_cell, forget, new, out = (graph.add("Add", *pair) for pair in zip(given, kept, strict=True))
            remembered = graph.add("Mul", graph.add("Sigmoid", forget), graph.columns(state, size, 2 * size))
            added = graph.add("Mul", graph.add("Sigmoid", into_cell), graph.add("Tanh", new))
            cell = graph.add("Add", remembered, added)
            h = graph.add("Mul", graph.add("Sigmoid", out), graph.add("Tanh", cell))
            return h, graph.joined([h, cell])
        reset, update = (graph.add("Sigmoid", graph.add("Add", given[part], kept[part])) for part in (0, 1))
        new = graph.add("Tanh", graph.add("Add", given[2], graph.add("Mul", reset, kept[2])))
        change = graph.add("Mul", update, graph.add("Sub", hidden, new))
        h = graph.add("Add", new, change)
        return h, h

    def step(self, tensors: Mapping[str, "Tensor"], x: "Tensor", state: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return the outputs [n, width] of one step from `state` [n, state_size], and the next state."""
        import torch

        weights = [tensors[name] for name in self._names]
        if self.kind == "gru":
            h = torch.gru_cell(x, state, *weights)
            return h, h
        h, c = (part.contiguous() for part in state.split(self.width, dim=-1))
        h, c = torch.lstm_cell(x, (h, c), *weights)
        return h, torch.cat([h, c], dim=-1)


def _lstm(into: Array, inside: Array, bias: Array) -> Step:
    joined, size = np.ascontiguousarray(np.concatenate([into, inside], axis=1).T), inside.shape[1]

    def step(x: Array, state: Array) -> tuple[Array, Array]:
        h, c = state[:, :size], state[:, size:]
        gates = np.concatenate([x, h], axis=1) @ joined
        gates += bias
        opened = sigmoid(gates)
        following = np.empty_like(state)
        cell = following[:, size:]
        np.multiply(opened[:, size : 2 * size], c, out=cell)
        cell += opened[:, :size] * np.tanh(gates[:, 2 * size : 3 * size])
        np.multiply(opened[:, 3 * size :], np.tanh(cell), out=following[:, :size])
        return following[:, :size], following

    return step


def _gru(into: Array, inside: Array, bias_into: Array, bias_inside: Array) -> Step:
    size = inside.shape[1]

    def step(x: Array, state: Array) -> tuple[Array, Array]:
        a, b = x @ into.T + bias_into, state @ inside.T + bias_inside
        opened = sigmoid(a[:, : 2 * size] + b[:, : 2 * size])
        reset, update = opened[:, :size], opened[:, size:]
        new = np.tanh(a[:, 2 * size :] + reset * b[:, 2 * size :])
        following = new + update * (state - new)
        return following, following

    return step


@dataclass(frozen=True)
class Segments:
    """Pieces of sequences between resets, laid side by side, so that one call of a fused LSTM unrolls them all.

    Rows are numbered time first: row t * copies + c; then the rows that follow a cut episode, in order.
    """

    gather: Array
    """[longest, segments] row that stands at each place; places after a segment's end repeat row 0 and are not read."""
    segment: Array
    """[rows] segment of each row."""
    position: Array
    """[rows] its place in there."""
    copy: Array
    """[segments] copy that each is of."""
    kept: Array
    """[segments] True where it begins with its copy's given state, False where it begins anew."""

    @classmethod
    def of(cls, starts: Array, cut: Array | None = None) -> "Segments":
        """Return those of rows [steps, copies] where `starts` is True in the first row of an episode.

        cut: [steps, copies], True where one more row belongs to the segment after its row there: the final observation
        of an episode that was cut.
        """
        steps, copies = starts.shape
        begins = starts.copy()
        begins[0] = True
        # copies one after the other, so that a segment is a run of rows
        segment = np.cumsum(begins.T.reshape(-1)) - 1
        first = np.flatnonzero(begins.T)
        place = np.arange(steps * copies) - first[segment]
        rows = np.arange(steps * copies).reshape(steps, copies).T.reshape(-1)
        by_row = np.empty((2, steps * copies), dtype=np.int64)
        by_row[:, rows] = segment, place
        if cut is not None and cut.any():
            after = np.flatnonzero(cut.reshape(-1))
            by_row = np.concatenate([by_row, by_row[:, after] + np.array([[0], [1]])], axis=1)
        gather = np.zeros((int(by_row[1].max()) + 1, len(first)), dtype=np.int64)
        gather[by_row[1], by_row[0]] = np.arange(by_row.shape[1])
        copy = first // steps
        kept = (first % steps == 0) & ~starts[0, copy]
        return cls(gather, by_row[0], by_row[1], copy, kept)


class Memories(NamedTuple):
    """States that rows begin with, and how the rows follow each other."""

    states: Any
    """Array or tensor [copies, state_size]."""
    segments: Segments
