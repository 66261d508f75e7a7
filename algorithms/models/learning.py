"""Networks for learning: torch tensors by name that lie in one flat vector, on any device.

Parameters and gradients are views of two flat vectors. So one fused step of an optimizer moves all of them, one norm is
over all of them, and what is sent and saved is the vector.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from surreal.algorithms.models.memory import Memories
from surreal.algorithms.networks import Layout
from surreal.algorithms.types import Array

Precision = Literal["float32", "bfloat16"]
CHUNK = 1024
"""Rows that are encoded at once where nothing is differentiated."""


class Bound:
    """A layout with values for its parameters on a device."""

    def __init__(
        self,
        layout: Layout,
        vector: Array,
        device: torch.device,
        precision: Precision = "float32",
        compiled: bool = False,
    ) -> None:
        """Copy `vector` [size] to the device; `bfloat16` is autocast's, `compiled` is torch.compile of rows alone."""
        self.device, self._precision = device, precision
        self.vector = torch.tensor(vector, dtype=torch.float32, device=device, requires_grad=True)
        self.vector.grad = torch.zeros_like(self.vector)
        self.parts: dict[str, Tensor] = {}
        start = 0
        for name, shape in layout.parts.items():
            part = slice(start, start := start + prod(shape))
            leaf = self.vector.detach()[part].view(shape).requires_grad_()
            leaf.grad = self.vector.grad[part].view(shape)
            self.parts[name] = leaf
        self._encoded: Callable[..., Any] = torch.compile(layout.encoded) if compiled else layout.encoded
        heads = compiled and not layout.state_size
        self._heads: Callable[..., tuple[Tensor, Tensor]] = torch.compile(layout.heads) if heads else layout.heads

    @property
    def log_std(self) -> Tensor | None:
        """Log standard deviations [action] of a Gaussian policy that are parameters; None where there are none."""
        return self.parts.get("log_std")

    def outputs(self, rows: Any, memories: Memories | None = None) -> tuple[Tensor, Tensor]:
        """Return outputs of the policy [n, outputs] and values [n], float32, of rows [n, ...]; differentiable."""
        with self._cast():
            out, values = self._heads(self.parts, self._encoded(self.parts, rows), memories)
        return out.float(), values.float()

    @torch.no_grad()
    def estimates(self, rows: Any, memories: Memories | None = None) -> tuple[Tensor, Tensor]:
        """Return the same for any number of rows, without gradients, encoding them in pieces."""
        with self._cast():
            pieces = [self._encoded(self.parts, part) for part in chunks(rows, CHUNK)]
            if memories is None:
                found = [self._heads(self.parts, piece) for piece in pieces]
                out, values = (torch.cat(parts) for parts in zip(*found, strict=True))
            else:
                encoded = [torch.cat(parts) for parts in zip(*pieces, strict=True)]
                out, values = self._heads(self.parts, encoded, memories)
        return out.float(), values.float()

    def _cast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bfloat16")

    def array(self) -> Array:
        """Return a copy of the parameters [size], float32."""
        return np.array(self.vector.detach().cpu().numpy())

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        with torch.no_grad():
            self.vector.copy_(torch.as_tensor(vector))


def tensors_of(rows: Any, device: torch.device) -> Any:
    """Return rows, an array or arrays by name, as tensors on the device."""
    if isinstance(rows, dict):
        return {name: tensors_of(part, device) for name, part in rows.items()}
    return torch.as_tensor(np.ascontiguousarray(rows), device=device)


def chunks(rows: Any, size: int) -> list[Any]:
    """Return rows in pieces of `size`."""
    if isinstance(rows, dict):
        parts = [chunks(part, size) for part in rows.values()]
        return [dict(zip(rows, piece, strict=True)) for piece in zip(*parts, strict=True)]
    return list(rows.split(size)) or [rows]
