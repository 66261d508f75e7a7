"""Exploration of one actor: noise on actions, correlated noise, noise on parameters, random choices; sampling."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, OffPolicyConfig
from surreal.algorithms.offpolicy.policy import ActingPolicy
from surreal.algorithms.types import Array

ADAPTATION = 1.05
"""Factor of one adaptation of the parameter noise."""


@dataclass(frozen=True)
class Place:
    """Place of an actor among the others."""

    index: int = 0
    actors: int = 1

    def between(self, first: float, last: float) -> float:
        """Return the actor's value on a ladder from the first actor's to the last one's; the middle for one alone."""
        if self.actors == 1:
            return (first + last) / 2
        return first + (last - first) * self.index / (self.actors - 1)


class Exploration(ABC):
    """Actions of one fragment at a time."""

    def __init__(self, policy: ActingPolicy, copies: int, rng: np.random.Generator) -> None:
        self.policy, self.copies, self.rng = policy, copies, rng

    @abstractmethod
    def begin(self, steps: int) -> None:
        """Draw the random numbers of the next `steps` steps; the policy has its newest parameters."""

    @abstractmethod
    def act(self, observations: Array, step: int) -> Array:
        """Return actions for standardised observations [copies, observation] in a step of the fragment."""

    def ended(self, copies: Array) -> None:
        """Note that the episodes of some copies, bool [copies], ended in the step before."""
        return

    def restarted(self) -> None:
        """Note that the last fragment was refused: it counts for nothing, and all copies begin new episodes."""
        self.ended(np.ones(self.copies, dtype=np.bool_))

    def metrics(self) -> dict[str, float]:
        """Return what the actor reports of its exploration."""
        return {}


class RandomActions(Exploration):
    """Uniform actions, before there is anything to act by."""

    def begin(self, steps: int) -> None:
        """See Exploration."""
        spaces, size = self.policy.shape.spaces, (steps, self.copies)
        self._actions: Array = self.rng.integers(spaces.action, size=size) if spaces.discrete else self._uniform(size)

    def _uniform(self, size: tuple[int, int]) -> Array:
        width = self.policy.shape.spaces.action
        return self.rng.uniform(-1, 1, (*size, width)).astype(np.float32)

    def act(self, observations: Array, step: int) -> Array:
        """See Exploration."""
        return np.asarray(self._actions[step])


class Sampling(Exploration):
    """Actions that a stochastic policy itself draws."""

    def begin(self, steps: int) -> None:
        """See Exploration."""
        noise = self.policy.noise(self.rng, steps * self.copies)
        self._noise = noise.reshape(steps, self.copies, -1)

    def act(self, observations: Array, step: int) -> Array:
        """See Exploration."""
        return self.policy.act(self.policy.forward(observations), self._noise[step])


class EpsilonGreedy(Exploration):
    """The best choice, or with probability epsilon a random one."""

    def __init__(self, *arguments: Any, epsilon: float) -> None:
        super().__init__(*arguments)
        self.epsilon = epsilon

    def begin(self, steps: int) -> None:
        """See Exploration."""
        size = (steps, self.copies)
        self._explore = self.rng.random(size) < self.epsilon
        self._choices = self.rng.integers(self.policy.shape.spaces.action, size=size)

    def act(self, observations: Array, step: int) -> Array:
        """See Exploration."""
        best = self.policy.best(self.policy.forward(observations))
        return np.where(self._explore[step], self._choices[step], best)

    def metrics(self) -> dict[str, float]:
        """See Exploration."""
        return {"epsilon": self.epsilon}


class ActionNoise(Exploration):
    """Deterministic actions plus noise: white, or an Ornstein-Uhlenbeck process of each copy's episode.

    x <- (1 - theta) x + sigma N(0, 1); theta 1 is white noise.
    """

    def __init__(self, *arguments: Any, sigma: float, theta: float = 1.0) -> None:
        super().__init__(*arguments)
        self.sigma, self._keep = np.float32(sigma), np.float32(1 - theta)
        self._state = np.zeros((self.copies, self.policy.shape.spaces.action), dtype=np.float32)

    def begin(self, steps: int) -> None:
        """See Exploration."""
        size = (steps, *self._state.shape)
        self._noise = self.sigma * self.rng.standard_normal(size, dtype=np.float32)

    def act(self, observations: Array, step: int) -> Array:
        """See Exploration."""
        self._state *= self._keep
        self._state += self._noise[step]
        actions = self.policy.best(self.policy.forward(observations))
        actions += self._state
        return np.minimum(np.maximum(actions, -1.0, out=actions), 1.0, out=actions)

    def ended(self, copies: Array) -> None:
        """See Exploration."""
        self._state[copies] = 0.0

    def metrics(self) -> dict[str, float]:
        """See Exploration."""
        return {"noise": float(self.sigma)}


class ParameterNoise(Exploration):
    """The policy with Gaussian noise on its parameters, adapted until actions differ by `sigma` (Plappert et al. 2018).

    Each layer's noise is in units of the layer's own root mean square. One draw lasts until an episode has ended.
    """

    def __init__(self, *arguments: Any, sigma: float) -> None:
        super().__init__(*arguments)
        self._sigma, self.scale = sigma, 0.1 if sigma else 0.0
        self._perturbed = ActingPolicy(self.policy.shape)
        self._direction: Array | None = None
        self._gap, self._count = 0.0, 0

    def begin(self, steps: int) -> None:
        """See Exploration."""
        self._adapt()
        if self._direction is None:
            self._direction = self.rng.standard_normal(len(self.policy.parameters), dtype=np.float32)
        layout = self.policy.shape.acting
        mine, noise = layout.views(self.policy.parameters), layout.views(self._direction)
        for name, part in layout.views(self._perturbed.parameters).items():
            unit = np.float32(self.scale) * np.sqrt(np.mean(mine[name] ** 2))
            np.add(mine[name], unit * noise[name], out=part)

    def _adapt(self) -> None:
        """Raise or lower the scale by the mean square of what the last fragment's actions differed by."""
        if self._count and self._sigma:
            near = (self._gap / self._count) ** 0.5 < self._sigma
            self.scale *= ADAPTATION if near else 1 / ADAPTATION
        self._gap, self._count = 0.0, 0

    def act(self, observations: Array, step: int) -> Array:
        """See Exploration."""
        actions = self._perturbed.best(self._perturbed.forward(observations))
        gap = actions - self.policy.best(self.policy.forward(observations))
        self._gap += float(np.mean(gap * gap))
        self._count += 1
        return actions

    def ended(self, copies: Array) -> None:
        """See Exploration."""
        if copies.any():
            self._direction = None

    def restarted(self) -> None:
        """See Exploration."""
        super().restarted()
        # observations that are NaN tell nothing of how far the actions are apart
        self._gap, self._count = 0.0, 0

    def metrics(self) -> dict[str, float]:
        """See Exploration."""
        return {"parameter_noise": self.scale}


def make_exploration(
    config: OffPolicyConfig, policy: ActingPolicy, copies: int, rng: np.random.Generator, place: Place
) -> Exploration:
    """Return the exploration that the config gives the actor at `place`."""
    if isinstance(config, DQNConfig):
        exponent = place.between(1.0, 1.0 + config.epsilon_ladder)
        return EpsilonGreedy(policy, copies, rng, epsilon=config.epsilon**exponent)
    if not isinstance(config, DDPGConfig):
        return Sampling(policy, copies, rng)
    sigma = config.noise * place.between(1 - config.noise_ladder, 1 + config.noise_ladder)
    if config.exploration == "parameters":
        return ParameterNoise(policy, copies, rng, sigma=sigma)
    theta = config.ou_theta if config.exploration == "ou" else 1.0
    return ActionNoise(policy, copies, rng, sigma=sigma, theta=theta)
