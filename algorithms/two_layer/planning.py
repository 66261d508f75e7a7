"""Planning backwards with a generative model: at each step values are regressed on r + max V of the next step.

The simulator can be asked at any feature: `Choices` is a synthetic MDP of H steps that is Bellman complete for two
layers. A state offers some actions, each with features of N(0, I). The mean reward of an action is a teacher of its
step, and the next state is drawn anew: Q of a step is its teacher and a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from surreal.algorithms.two_layer.networks import Kind, TwoLayer, linear, recover, teacher
from surreal.algorithms.types import F64

Fit = Callable[[F64, F64, np.random.Generator], Callable[[F64], F64]]
"""(Inputs [n, d], values [n], generator) -> function of inputs."""


@dataclass(frozen=True)
class Choices:
    """A synthetic MDP: one teacher for each step."""

    teachers: tuple[TwoLayer, ...]
    actions: int = 8
    noise: float = 0.1
    """Deviation of the rewards."""

    @property
    def width(self) -> int:
        """Numbers of a feature."""
        return int(self.teachers[0].directions.shape[1])

    def ask(self, h: int, x: F64, rng: np.random.Generator) -> tuple[F64, F64]:
        """Return rewards [n], and the features [n, actions, d] of the next states, of actions with features x."""
        rewards = self.teachers[h](x) + self.noise * rng.standard_normal(len(x))
        return rewards, rng.standard_normal((len(x), self.actions, self.width))


def choices(kind: Kind, d: int, k: int, rng: np.random.Generator, horizon: int = 3) -> Choices:
    """Return a random MDP of `horizon` steps."""
    return Choices(tuple(teacher(kind, d, k, rng) for _ in range(horizon)))


def plan(simulator: Choices, n: int, fit: Fit, rng: np.random.Generator) -> list[Callable[[F64], F64]]:
    """Return a value function of each step, from n queries of each, at features of N(0, I)."""
    values: list[Callable[[F64], F64]] = []
    for h in range(len(simulator.teachers) - 1, -1, -1):
        x = rng.standard_normal((n, simulator.width))
        rewards, following = simulator.ask(h, x, rng)
        after = values[0](following.reshape(-1, simulator.width)).reshape(n, -1).max(axis=1) if values else 0.0
        values.insert(0, fit(x, rewards + after, rng))
    return values


def share_of_optimum(
    simulator: Choices, values: list[Callable[[F64], F64]], rng: np.random.Generator, states: int = 4_000
) -> float:
    """Return the value of acting greedily by `values` over that of the best actions, both above a random action's."""
    ours = best = chance = 0.0
    for truth, value in zip(simulator.teachers, values, strict=True):
        features = rng.standard_normal((states, simulator.actions, simulator.width))
        flat = features.reshape(-1, simulator.width)
        true, said = truth(flat).reshape(states, -1), value(flat).reshape(states, -1)
        ours += float(true[np.arange(states), said.argmax(axis=1)].mean())
        best, chance = best + float(true.max(axis=1).mean()), chance + float(true.mean())
    return (ours - chance) / (best - chance)


def network_fit(kind: Kind, k: int) -> Fit:
    """Return the regression on networks of two layers."""
    return lambda x, y, rng: recover(kind, k, x, y, rng)


def linear_fit(x: F64, y: F64, rng: np.random.Generator) -> Callable[[F64], F64]:
    """Return the linear regression, for planning by least-squares value iteration."""
    return linear(x, y)
