"""Returns and advantages as pure functions of arrays [steps, copies]."""

from typing import NamedTuple

import numpy as np

from surreal.algorithms.types import Array


def next_values(values: Array, terminated: Array, truncated: Array, final_values: Array) -> Array:
    """Return the value of what follows each step [steps, copies]: 0 after termination, the final state's after a cut.

    values: [steps + 1, copies], the last row of the observation after the fragment; final_values: [number of
    truncated steps], in the row-major order of `truncated`. A truncated episode did not end, it was only cut, so its
    return is bootstrapped; a terminated one has no future (Pardo et al. 2018).
    """
    following = np.where(terminated, np.float32(0.0), values[1:])
    following[truncated] = final_values
    return following


def gae(rewards: Array, values: Array, following: Array, done: Array, gamma: float, lam: float) -> Array:
    """Return generalized advantage estimates [steps, copies] (Schulman et al. 2016, eq. 16).

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t);  A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}.
    values: [steps, copies]; following: as `next_values` returns; done: terminated or truncated.
    """
    advantages: Array = rewards + np.float32(gamma) * following - values
    return _accumulated(advantages, np.float32(gamma * lam) * ~done)


def _accumulated(deltas: Array, decay: Array) -> Array:
    """Return A_t = delta_t + decay_t A_{t+1} for `deltas` and `decay` [steps, copies]; it is written into `deltas`."""
    for t in range(len(deltas) - 2, -1, -1):
        deltas[t] += decay[t] * deltas[t + 1]
    return deltas


class Bars(NamedTuple):
    """Bounds of V-trace's importance weights; None for no bound."""

    rho: float | None = 1.0
    """Bound in the temporal differences: it decides which policy's value is learned."""
    c: float | None = 1.0
    """Bound in the trace: it decides how fast that value is learned."""
    policy: float | None = 1.0
    """Bound in the policy gradient."""


class VTrace(NamedTuple):
    """Results of V-trace, both [steps, copies]."""

    targets: Array
    """v_s, which the value is moved to."""
    advantages: Array
    """Factor of the gradient of log pi(a_s | x_s)."""


def vtrace(
    rewards: Array,
    values: Array,
    following: Array,
    done: Array,
    ratios: Array,
    gamma: float,
    lam: float = 1.0,
    bars: Bars | None = None,
) -> VTrace:
    """Return V-trace targets and policy-gradient advantages (Espeholt et al. 2018, arXiv:1802.01561, eq. 1, sec. 4.2).

    v_s = V(x_s) + sum_{t >= s} gamma^(t-s) (prod_{i=s}^{t-1} c_i) delta_t, the sum ending where an episode does;
    delta_t = rho_t (r_t + gamma V(x_{t+1}) - V(x_t)), rho_t = min(rho bar, pi/mu), c_i = lambda min(c bar, pi/mu);
    advantage_s = min(policy bar, pi/mu) (r_s + gamma v_{s+1} - V(x_s)), where V(x_T) stands for v_T.
    values: [steps, copies] V(x_t); following: as `next_values` returns, so that cut episodes bootstrap from what they
    ended in; done: terminated or truncated; ratios: pi/mu of the actions taken. Floats keep the type of `values`.
    """
    bars = bars or Bars()
    deltas = _bounded(ratios, bars.rho) * (rewards + gamma * following - values)
    targets = values + _accumulated(deltas, gamma * lam * _bounded(ratios, bars.c) * ~done)
    after = following.copy()
    after[:-1] = np.where(done[:-1], following[:-1], targets[1:])
    return VTrace(targets, _bounded(ratios, bars.policy) * (rewards + gamma * after - values))


def _bounded(ratios: Array, bar: float | None) -> Array:
    return ratios if bar is None else np.minimum(ratios, bar)


def explained_variance(values: Array, returns: Array) -> float:
    """Return 1 - Var[returns - values] / Var[returns]: 1 is a perfect value function, 0 no better than a constant."""
    variance = float(np.var(returns))
    return float("nan") if variance == 0 else 1.0 - float(np.var(returns - values)) / variance
