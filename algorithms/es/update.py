"""Steps from returns to an update: pure functions.

`returns` is [pairs, 2] throughout: of theta + sigma * epsilon and of its mirror image theta - sigma * epsilon.
"""

import numpy as np

from surreal.algorithms.types import Array


def centred_ranks(returns: Array) -> Array:
    """Return ranks from -0.5 (worst) to 0.5 (best); equal returns share the mean of their ranks.

    That is Salimans et al. 2017, sec. 2.1, there without ties: a population of equals must not move the policy.
    """
    if returns.size < 2:
        return np.zeros(returns.shape)
    _, inverse, counts = np.unique(returns, return_inverse=True, return_counts=True)
    first = np.cumsum(counts) - counts
    ranks = first + (counts - 1) / 2
    return np.asarray(ranks[inverse].reshape(returns.shape) / (returns.size - 1) - 0.5)


def es_weights(returns: Array) -> Array:
    """Return the weight [pairs] of each perturbation in the gradient of the mean centred rank: (u+ - u-) / 2n.

    That is eq. 1 of Salimans et al. 2017 with mirrored sampling, without its factor 1/sigma, as in their code.
    """
    ranks = centred_ranks(returns)
    return np.asarray((ranks[:, 0] - ranks[:, 1]) / returns.size)


def ars_weights(returns: Array, top: int, learning_rate: float) -> Array:
    """Return the weight [pairs] of each direction in ARS's step.

    It is alpha / (b sigma_R) (r+ - r-) for the b = `top` directions with the largest max(r+, r-), else 0
    (Mania et al. 2018, algorithm 2, lines 6 and 7).

    sigma_R is the standard deviation of the 2b returns used; where it is 0 nothing is better than anything else.
    """
    kept = np.argsort(-returns.max(axis=1), kind="stable")[:top]
    used = returns[kept]
    weights, spread = np.zeros(len(returns)), used.std()
    if spread > 0:
        weights[kept] = learning_rate / (len(kept) * spread) * (used[:, 0] - used[:, 1])
    return weights


def grown_cap(cap: int, lengths: Array, threshold: float, growth: float, largest: int) -> int:
    """Return the next generation's cap on episodes: larger where the share of `lengths` that reached `cap` was."""
    if len(lengths) and (lengths >= cap).mean() >= threshold:
        return min(largest, int(np.ceil(cap * growth)))
    return cap
