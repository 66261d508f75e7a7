"""Adam's step size: annealed, and adapted until an update moves the policy as far as it is meant to."""

from surreal.algorithms.ppo.config import PPOConfig

FACTOR = 1.5
"""The step size changes by it, where the KL is off its goal by more than it."""
RANGE = (0.1, 10.0)
"""Smallest and largest multiple of learning_rate."""
LAST_GOAL = 0.25
"""Share of desired_kl that is left as the goal at the end of an annealed run."""


class StepSize:
    """`learning_rate` times a multiple that follows the KL of the updates (desired_kl, Schulman's adaptive step)."""

    def __init__(self, config: PPOConfig) -> None:
        self._config = config
        self.multiple = 1.0

    def at(self, progress: float) -> float:
        """Return the step size at `progress` in [0, 1] of the run."""
        left = 1 - progress if self._config.anneal else 1.0
        return self._config.learning_rate * self.multiple * left

    def adapt(self, kl: float, progress: float) -> None:
        """Take in the mean KL that an update ended with: raise the multiple where it is small, lower it where large."""
        config = self._config
        if config.desired_kl is None or config.objective != "clip":
            return
        goal = config.desired_kl * (1 - (1 - LAST_GOAL) * progress if config.anneal else 1.0)
        if kl > FACTOR * goal:
            self.multiple = max(self.multiple / FACTOR, RANGE[0])
        elif kl < goal / FACTOR:
            self.multiple = min(self.multiple * FACTOR, RANGE[1])
