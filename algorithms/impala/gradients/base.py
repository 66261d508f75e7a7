"""Interface of the engines that differentiate the loss, and the correction that both of them take their targets from.

With rho, v and A of `returns.vtrace`, which are constants to the gradient, the loss of n steps is
-1/n sum A log pi(a|x) + value_coef / n sum (v - V(x))^2 - entropy_coef / n sum H(pi(x)), and value_coef is half of the
baseline cost of the paper. Means and not sums are over the batch, so that step sizes do not depend on its size.
"""

from typing import NamedTuple, Protocol

import numpy as np

from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.returns import Bars, explained_variance, next_values, vtrace
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array

LARGEST_LOG = 20.0
"""Largest logarithm of a ratio: its exponential still is a number where a bar is left out."""
ROUNDING = 1e-4
DECAY = 0.99
"""Share of RMSprop's mean square that stays from step to step."""


class Corrected(NamedTuple):
    """Constants of the loss, all [steps * copies] float32, and what is reported of them."""

    targets: Array
    advantages: Array
    metrics: dict[str, float]


def correct(config: IMPALAConfig, data: Trajectories, log_probs: Array, values: Array) -> Corrected:
    """Return targets and advantages for the present policy.

    log_probs: [steps * copies] of the actions taken under it; values: [(steps + 1) * copies + cut], as `data.rows` lie.
    """
    steps, copies = data.rewards.shape
    end = (steps + 1) * copies
    estimates, final = values[:end].reshape(steps + 1, copies), values[end:]
    following = next_values(estimates, data.terminated, data.truncated, final)
    log_ratios = np.minimum(log_probs.reshape(steps, copies) - data.log_probs, np.float32(LARGEST_LOG))
    ratios = np.exp(log_ratios)
    used = ratios if config.correction == "vtrace" else np.ones_like(ratios)
    bars = Bars(config.rho_bar, config.c_bar, config.policy_rho_bar)
    gamma = config.discount(data.gamma)
    found = vtrace(data.rewards, estimates[:-1], following, data.done, used, gamma, config.trace_lambda, bars)
    kl = float((ratios - 1 - log_ratios).mean())
    advantages = found.advantages * np.float32(_share_within(kl, config.max_kl))
    metrics = {
        "kl": kl,
        "mean_ratio": float(ratios.mean()),
        "clipped_rho": _share_above(ratios, config.rho_bar),
        "clipped_c": _share_above(ratios, config.c_bar),
        "explained_variance": explained_variance(estimates[:-1], found.targets),
    }
    return Corrected(found.targets.reshape(-1), advantages.reshape(-1), metrics)


def _share_within(kl: float, bound: float | None) -> float:
    return 1.0 if bound is None or kl <= bound else bound / kl


def _share_above(ratios: Array, bar: float | None) -> float:
    # A ratio that is 1 but for the rounding of two ways to compute it is not clipped.
    return 0.0 if bar is None else float((ratios > bar * (1 + ROUNDING)).mean())


class Gradient(Protocol):
    """Gradients and steps of one parameter vector."""

    def step(self, data: Trajectories, rate: float) -> dict[str, float]:
        """Take one optimizer step of size `rate` on fragments. Return metrics.

        Where the gradient is not finite, parameters and optimizer stay as they are: `skipped` is 1.
        """

    def parameters(self) -> Array:
        """Return a copy of the parameter vector, float32."""

    def arrays(self) -> dict[str, Array]:
        """Return parameters and optimizer state, everything `load` needs."""

    def load(self, arrays: dict[str, Array]) -> None:
        """Take over what `arrays` returned."""


def reported(corrected: Corrected, policy: float, value: float, entropy: float, taken: bool) -> dict[str, float]:
    """Return the metrics of a step."""
    losses = {"policy_loss": policy, "value_loss": value, "entropy": entropy}
    return {**losses, **corrected.metrics, "skipped": float(not taken)}
