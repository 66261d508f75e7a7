"""Policies for acting, in numpy: what actors, the evaluator and a loaded checkpoint share."""

import numpy as np

from surreal.algorithms.computation.graph import Computation
from surreal.algorithms.offpolicy.mlp import Network
from surreal.algorithms.offpolicy.shape import LOG_STD, Shape, advantages_to_values
from surreal.algorithms.types import Array


class ActingPolicy:
    """One network and the meaning of its outputs. Actions are float32 within +-1, or choices."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.parameters = np.zeros(shape.acting.size, dtype=np.float32)
        self._network = Network(shape.acting, self.parameters)

    def load(self, vector: Array) -> None:
        """Take over the parameters [size]."""
        self.parameters[:] = vector

    def forward(self, observations: Array) -> Array:
        """Return the network's outputs [n, outputs] for standardised observations [n, observation]."""
        outputs = self._network(observations)
        return advantages_to_values(outputs) if self.shape.dueling else outputs

    def best(self, outputs: Array) -> Array:
        """Return the deterministic actions of outputs: tanh of the means [n, action], or the best choices [n]."""
        if self.shape.spaces.discrete:
            return np.asarray(np.argmax(outputs, axis=1))
        return np.asarray(np.tanh(outputs[:, : self.shape.spaces.action]))

    def symbolic(self, graph: Computation, rows: str, state: str) -> tuple[str, str]:
        """Add the policy to a graph. Return the names of its actions within +-1, or of its logits, and of `state`."""
        out, action = self._network.symbolic(graph, rows), self.shape.spaces.action
        if self.shape.dueling:
            # Values differ from advantages by the same number for all choices.
            out = graph.columns(out, 1, 1 + action)
        if self.shape.spaces.discrete:
            return out, state
        return graph.add("Tanh", graph.columns(out, 0, action)), state

    def noise(self, rng: np.random.Generator, count: int) -> Array:
        """Return the random numbers of `count` sampled actions [count, action]: Gaussian, or Gumbel for choices."""
        size = (count, self.shape.spaces.action)
        if self.shape.kind == "categorical":
            return rng.gumbel(size=size).astype(np.float32)
        return rng.standard_normal(size, dtype=np.float32)

    def act(self, outputs: Array, noise: Array) -> Array:
        """Return actions drawn from a stochastic policy; of a deterministic one the best."""
        if self.shape.kind == "categorical":
            return np.asarray(np.argmax(outputs + noise, axis=1))
        if self.shape.kind != "gaussian":
            return self.best(outputs)
        width = self.shape.spaces.action
        std = np.exp(np.clip(outputs[:, width:], *LOG_STD))
        return np.asarray(np.tanh(outputs[:, :width] + std * noise))

    @property
    def stochastic(self) -> bool:
        """Return True where actions can be drawn."""
        return self.shape.kind in ("gaussian", "categorical")
