"""Returns and advantages as pure functions of arrays [steps, copies]."""

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
    decay = np.float32(gamma * lam) * ~done
    for t in range(len(advantages) - 2, -1, -1):
        advantages[t] += decay[t] * advantages[t + 1]
    return advantages


def explained_variance(values: Array, returns: Array) -> float:
    """Return 1 - Var[returns - values] / Var[returns]: 1 is a perfect value function, 0 no better than a constant."""
    variance = float(np.var(returns))
    return float("nan") if variance == 0 else 1.0 - float(np.var(returns - values)) / variance
