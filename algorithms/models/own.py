"""Networks of one's own: `network: my_module:make` in a config, differentiated by torch's autograd.

`make(spaces, **settings)` returns a Network. `network: {make: my_module:make, width: 32}` passes settings.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.networks import Layout, Policy
from surreal.algorithms.own_code import load_own, where_raised
from surreal.algorithms.types import F32, Array
from surreal.protocol.errors import Fatal, InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

KEY = "spec.algorithm.config.network"
ROWS = 3
"""Observations of the check: more than one, and no number that a dimension is likely to have."""


class Network(Protocol):
    """Policy and value as functions of one flat vector of parameters; torch differentiates them."""

    def initial(self, rng: np.random.Generator) -> Array:
        """Return the initial parameters, float32 [size]."""

    def policy(self, parameters: "Tensor", features: "Tensor") -> "Tensor":
        """Return the means of a Gaussian or the logits [n, action] for features [n, features] float32."""

    def value(self, parameters: "Tensor", features: "Tensor") -> "Tensor":
        """Return the value estimates [n]."""


@dataclass(frozen=True)
class OwnShape(Layout):
    """Layout of the parameter vector of a network of one's own: its own part, then a Gaussian's log std."""

    spaces: Spaces
    network: Any

    @cached_property
    def _initial(self) -> Array:
        vector = np.asarray(self.network.initial(np.random.default_rng(0)))
        if vector.ndim != 1 or vector.dtype.kind != "f":
            raise ValueError(f"initial returns {vector.dtype} {list(vector.shape)}, expected float32 [size]")
        return vector

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Return name -> array shape of both parts."""
        own: dict[str, tuple[int, ...]] = {"own": self._initial.shape}
        return own if self.spaces.discrete else {**own, "log_std": (self.spaces.action,)}

    def initial(self, rng: np.random.Generator, log_std: float) -> Array:
        """Return the network's own initial parameters and a constant log std."""
        own = np.asarray(self.network.initial(rng), dtype=np.float32)
        std = np.full(self.size - len(own), log_std, dtype=np.float32)
        return np.concatenate([own, std])

    def heads(self, tensors: Mapping[str, "Tensor"], encoded: Any, memory: Any = None) -> "tuple[Tensor, Tensor]":
        """See Layout."""
        return self.network.policy(tensors["own"], encoded), self.network.value(tensors["own"], encoded)


class OwnPolicy(Policy):
    """The policy of a network of one's own, for acting; it needs torch."""

    def __init__(self, shape: OwnShape) -> None:
        self.choices, self.outputs, self._network = shape.spaces.choices, shape.outputs, shape.network
        self._vector = np.zeros(shape.size, dtype=np.float32)
        views = shape.views(self._vector)
        self._own, self._log_std = views["own"], views.get("log_std")

    def forward(self, observations: Array) -> Array:
        """Map normalized observations [batch, observation] to Gaussian means or logits [batch, action]."""
        import torch

        with torch.no_grad():
            out = self._network.policy(
                torch.from_numpy(self._own), torch.from_numpy(np.ascontiguousarray(observations))
            )
        found: F32 = np.asarray(out.numpy(), dtype=np.float32)
        return found

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """Raise InvalidInput: the operations of a network of one's own are not known."""
        raise InvalidInput(
            "network: one of your own has operations that no graph of surreal knows. Use surreal.load(...).policy()."
        )


def own_shape(name: str, settings: Mapping[str, Any], spaces: Spaces, folder: Path | None = None) -> OwnShape:
    """Return the layout of `module:make`, whose module is looked for in `folder` too; its outputs are checked.

    Raises Fatal, with file and line, for a broken one.
    """
    try:
        make = load_own(name, folder)
    except InvalidInput as error:
        raise Fatal(f"{KEY}: {error}") from None
    try:
        shape = OwnShape(spaces, make(spaces, **settings))
        _check(shape)
    # Anything may be raised in a module of one's own, even the end of the process.
    except (Exception, SystemExit) as error:
        misfit = isinstance(error, _MisfitError)
        text = " ".join((str(error) if misfit else f"{type(error).__name__}: {error}").split())
        place = _place(make) if misfit else where_raised(error, folder)
        raise Fatal(f"{KEY}: {name!r} does not work: {place}: {text}. Correct it there.") from error
    return shape


class _MisfitError(ValueError):
    """An output that does not fit the spaces."""


def _check(shape: OwnShape) -> None:
    """Raise _MisfitError for a network without its methods, or with outputs that do not fit the action space."""
    import torch

    if missing := [name for name in ("initial", "policy", "value") if not hasattr(shape.network, name)]:
        kind = type(shape.network).__name__
        raise _MisfitError(f"it returns {kind}, expected an object with initial, policy and value (no {missing[0]})")

    parameters = torch.from_numpy(shape._initial.astype(np.float32))
    features = torch.zeros(ROWS, shape.spaces.observation)
    for name, expected in (("policy", (ROWS, shape.spaces.action)), ("value", (ROWS,))):
        with torch.no_grad():
            found = tuple(getattr(shape.network, name)(parameters, features).shape)
        if found != expected:
            what = f"{name} returns {list(found)} for {ROWS} observations"
            raise _MisfitError(f"{what}, expected {list(expected)} for the action space {shape.spaces.action_space}")


def _place(make: Any) -> str:
    try:
        return f"{inspect.getsourcefile(make)}:{inspect.getsourcelines(make)[1]}"
    except (OSError, TypeError):
        return str(make)
