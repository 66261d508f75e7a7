"""Policy and value networks as one flat parameter vector with named views.

Policy and value are two tanh networks of the same widths, kept as a pair: a hidden layer's weights have shape
[2, in, out], index 0 the policy's and 1 the value's, so that both advance in one batched product. One flat float32
vector holds all of it: it is what the optimizer steps, the wire carries and a checkpoint stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.distributions import choices_log_prob, gaussian_log_prob, gumbel, sample
from surreal.algorithms.environments.actions import ActionMap, chosen
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.types import F32, Array

if TYPE_CHECKING:
    from torch import Tensor


LOG_STD_RANGE = (-20.0, 2.0)
"""Range of log standard deviations that a network gives (Haarnoja et al. 2018, their code)."""


class FlatLayout:
    """Layout of named arrays in one vector."""

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """Name -> array shape of every part, in the order they lie in the vector."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Length of the parameter vector."""
        return sum(prod(shape) for shape in self.parts.values())

    def views(self, vector: Array) -> dict[str, Array]:
        """Name -> view into `vector` [size]: writing to a view writes to the vector."""
        views, start = {}, 0
        for name, shape in self.parts.items():
            views[name] = vector[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        return views


class Layout(FlatLayout):
    """Layout of a policy and a value in one vector of parameters, and their functions, which torch differentiates."""

    spaces: Spaces
    state_size = 0
    """Numbers that the policy remembers from step to step."""
    squash = False
    """Actions go through tanh on their way to the environment's bounds."""

    @property
    def outputs(self) -> int:
        """Outputs of the policy: what its distribution of actions depends on."""
        return self.spaces.action

    def initial(self, rng: np.random.Generator, log_std: float) -> Array:
        """Return initial parameters [size]; `log_std` is that of a Gaussian policy."""
        raise NotImplementedError

    def of_values(self) -> Array:
        """Return which parameters [size] are of a network of values that shares nothing with the policy: by default
        none."""
        return np.zeros(self.size, dtype=np.bool_)

    def inputs(self) -> Array:
        """Return how many inputs the dense layer has that each parameter [size] is a weight of; 1 for other parameters,
        and for all where step sizes do not depend on it, as by default."""
        return np.ones(self.size, dtype=np.float32)

    def encoded(self, tensors: Mapping[str, "Tensor"], rows: Any) -> Any:
        """Return what `heads` takes of each row [n, ...] alone; computed in pieces where nothing is differentiated."""
        return rows

    def heads(self, tensors: Mapping[str, "Tensor"], encoded: Any, memory: Any = None) -> "tuple[Tensor, Tensor]":
        """Return the outputs of the policy [n, outputs] and the values [n].

        `memory` is (states [copies, state_size], Segments) of a network that has one.
        """
        raise NotImplementedError

    def step(self, tensors: Mapping[str, "Tensor"], rows: Any, state: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return the outputs of the policy [n, outputs] and the next state of one step from `state` [n, state_size]."""
        return self.heads(tensors, self.encoded(tensors, rows))[0], state


@dataclass(frozen=True)
class Shape(Layout):
    """The layout of the parameter vector for one pair of networks."""

    spaces: Spaces
    hidden: tuple[int, ...]

    @cached_property
    def parts(self) -> dict[str, tuple[int, ...]]:
        """See Layout."""
        widths = (self.spaces.observation, *self.hidden)
        parts: dict[str, tuple[int, ...]] = {}
        for layer, (into, out) in enumerate(zip(widths, widths[1:], strict=False)):
            parts[f"weight{layer}"] = (2, into, out)
            parts[f"bias{layer}"] = (2, 1, out)
        parts["policy.weight"] = (widths[-1], self.spaces.action)
        parts["policy.bias"] = (self.spaces.action,)
        parts["value.weight"] = (widths[-1], 1)
        parts["value.bias"] = (1,)
        if not self.spaces.discrete:
            parts["log_std"] = (self.spaces.action,)
        return parts

    def initial(self, rng: np.random.Generator, log_std: float) -> Array:
        """Return orthogonal weights (gain sqrt 2; policy head 0.01, value head 1), zero biases, constant log std."""
        vector = np.zeros(self.size, dtype=np.float32)
        for name, part in self.views(vector).items():
            if name == "log_std":
                part[:] = log_std
            elif "weight" in name:
                gain = {"policy.weight": 0.01, "value.weight": 1.0}.get(name, sqrt(2))
                for matrix in part.reshape(-1, *part.shape[-2:]):
                    matrix[:] = gain * orthogonal(rng, *matrix.shape)
        return vector

    def of_values(self) -> Array:
        """See Layout."""
        found = np.zeros(self.size, dtype=np.bool_)
        for name, part in self.views(found).items():
            if name.startswith("value."):
                part[:] = True
            elif name.startswith(("weight", "bias")):
                part[1] = True
        return found

    def inputs(self) -> Array:
        """See Layout."""
        found = np.ones(self.size, dtype=np.float32)
        for name, part in self.views(found).items():
            if "weight" in name:
                part[...] = part.shape[-2]
        return found

    def heads(self, tensors: Mapping[str, "Tensor"], encoded: Any, memory: Any = None) -> "tuple[Tensor, Tensor]":
        """See Layout."""
        x = encoded.unsqueeze(0)
        for layer in range(len(self.hidden)):
            x = (x @ tensors[f"weight{layer}"] + tensors[f"bias{layer}"]).tanh()
        policy, value = x.unbind(0) if len(x) == 2 else (x[0], x[0])
        out = policy @ tensors["policy.weight"] + tensors["policy.bias"]
        return out, (value @ tensors["value.weight"] + tensors["value.bias"]).squeeze(-1)


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Return a random matrix [rows, columns] with orthonormal rows or columns (Saxe et al. 2014)."""
    square = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(square)
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


def bounded(onto_bounds: ActionMap, squash: bool) -> ActionMap:
    """Return the map of a policy's actions onto the bounds of the environment's, by tanh where they are squashed."""
    return (lambda actions: onto_bounds(np.tanh(actions))) if squash else onto_bounds


class Policy:
    """The policy alone, for acting: numpy, because one call on a small batch costs a fifth of torch's."""

    state_size = 0
    squash = False

    def __init__(self, shape: Shape) -> None:
        self.choices, self.outputs = shape.spaces.choices, shape.outputs
        self._vector = np.zeros(shape.size, dtype=np.float32)
        views = shape.views(self._vector)
        layers = range(len(shape.hidden))
        self._hidden = [(views[f"weight{n}"][0], views[f"bias{n}"][0]) for n in layers]
        self._head = (views["policy.weight"], views["policy.bias"])
        self._log_std = views.get("log_std")

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        self._vector[:] = vector

    def forward(self, observations: Array) -> Array:
        """Map normalized observations [batch, observation] to Gaussian means or logits [batch, action]."""
        x = observations
        for weight, bias in self._hidden:
            x = x @ weight
            x += bias
            np.tanh(x, out=x)
        out: Array = x @ self._head[0]
        out += self._head[1]
        return out

    def initial_state(self, copies: int) -> F32:
        """Return the state [copies, state_size] at the start of an episode: zeros."""
        return np.zeros((copies, self.state_size), dtype=np.float32)

    def advance(self, observations: Any, state: Array) -> tuple[Array, Array]:
        """Return the outputs of `forward` and the next state, for one step from `state` [batch, state_size]."""
        return self.forward(observations), state

    def symbolic(self, graph: Computation, rows: Any, state: str) -> tuple[str, str]:
        """Add the policy to a graph. Return the names of the means or logits [n, action], and of the next state.

        `rows` is the name of standardised observations, or names by part; `state` that of the state, "" for none.
        """
        for weight, bias in self._hidden:
            rows = graph.add("Tanh", graph.dense(rows, weight, bias))
        return graph.dense(rows, *self._head), state

    def noted(self, state: Array, actions: Array, rewards: Array) -> None:
        """Write the last actions [batch, ...] and rewards [batch] into `state`, where the policy remembers them."""
        return

    def bounded(self, onto_bounds: ActionMap) -> ActionMap:
        """Return the map of this policy's actions onto the bounds of the environment's."""
        return bounded(onto_bounds, self.squash)

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw noise for a whole fragment: Gaussian noise times the policy's std, or Gumbel noise for the logits."""
        if self._log_std is None:
            return gumbel(rng, shape)
        return rng.standard_normal(shape, dtype=np.float32) * np.exp(self._log_std)

    def act(self, out: Array, noise: Array) -> Array:
        """Return sampled actions: mean + noise, or the choices with the largest logits + Gumbel noise."""
        return sample(out, noise, self.choices) if self.choices else out + noise

    def best(self, out: Array) -> Array:
        """Return the deterministic action: the mean, or the likeliest choices."""
        return chosen(out, self.choices) if self.choices else out

    def log_prob(self, outs: Array, actions: Array) -> Array:
        """Return the log-probability [...] of `actions` under the outputs [..., action] of `forward`."""
        if self._log_std is None:
            return choices_log_prob(outs, actions, self.choices)
        return gaussian_log_prob(outs, self._log_std, actions)
