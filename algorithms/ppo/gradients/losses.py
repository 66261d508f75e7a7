"""PPO's clipped loss and its gradient, by loops that numba compiles.

A row's numbers are float64, arrays are float32. Outputs of networks and their gradients are [rows, padded width].
"""

from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np

from surreal.algorithms.devices import kept
from surreal.algorithms.types import F32, F64, Array, Int


class Heads(NamedTuple):
    """Outputs of both networks, and where their gradients go."""

    policy: F32
    d_policy: F32
    values: F32
    d_values: F32


class Rows(NamedTuple):
    """Columns of a minibatch, as in batch.Minibatch."""

    actions: Array
    """[rows, parts]"""
    before: F32
    """Log-probabilities under the policy that acted."""
    advantages: F32
    returns: F32
    values: F32


class Settings(NamedTuple):
    """Settings of the loss."""

    clip: float
    """Range of the ratio; infinite without a clipped surrogate."""
    bonus: float
    """Weight of the entropy."""
    value: float
    """Weight of the squared error of the values."""
    reach: float
    """Change of a value estimate that counts; infinite where it is not clipped."""
    normalize: bool
    """Advantages less their mean, over their deviation."""


POLICY, VALUE, ENTROPY, KL, OUTSIDE = range(5)
"""Places of the sums over rows: two losses, the mean entropy, the KL from the one that acted, ratios outside."""


@kept
def normal(advantages: F32, normalize: bool) -> tuple[float, float]:
    """Return what to take off advantages, and what to multiply them by then."""
    mean = variance = 0.0
    if not normalize:
        return 0.0, 1.0
    for each in advantages:
        mean += each / len(advantages)
    for each in advantages:
        variance += (each - mean) ** 2 / len(advantages)
    return mean, 1.0 / (sqrt(variance) + 1e-8)


@kept
def surrogate(log_prob: float, before: float, advantage: float, clip: float, sums: F64) -> float:
    """Add to `sums` what a row tells of the policy. Return d loss / d log p, times the rows."""
    log_ratio = log_prob - before
    ratio = exp(log_ratio)
    gain = ratio * advantage
    bound = min(max(ratio, 1 - clip), 1 + clip) * advantage
    sums[POLICY] -= min(gain, bound)
    sums[KL] += ratio - 1 - log_ratio
    sums[OUTSIDE] += abs(ratio - 1) > clip
    # Where the clipped term is the smaller, it is flat.
    return 0.0 if gain > bound else -gain


@kept
def squared_error(heads: Heads, rows: Rows, settings: Settings, sums: F64) -> None:
    """Write d loss / d value: of the squared error, or of the larger of it and that of a change within `reach`."""
    weight = 2 * settings.value / len(rows.returns)
    for row in range(len(rows.returns)):
        error = heads.values[row, 0] - rows.returns[row]
        change, worse = heads.values[row, 0] - rows.values[row], error * error
        if abs(change) > settings.reach:
            near = rows.values[row] + (settings.reach if change > 0 else -settings.reach)
            worse = max(worse, (near - rows.returns[row]) ** 2)
        sums[VALUE] += worse
        heads.d_values[row, 0] = 0.0 if error * error < worse else weight * error


@kept
def gaussian(heads: Heads, log_std: F32, d_log_std: F32, rows: Rows, settings: Settings, sums: F64) -> None:
    """Write the gradient of the loss in the means, in `log_std` and in the values; add up what it tells."""
    shift, scale = normal(rows.advantages, settings.normalize)
    parts, count = len(log_std), len(rows.before)
    constant, inverse = 0.5 * parts * log(2 * np.pi), np.exp(-log_std)
    for n in range(parts):
        constant += log_std[n]
        d_log_std[n] = -settings.bonus  # dH / d log_std = 1
    sums[ENTROPY] = constant + 0.5 * parts
    for row in range(count):
        mean, d = heads.policy[row], heads.d_policy[row]
        squares = 0.0
        for n in range(parts):
            d[n] = (rows.actions[row, n] - mean[n]) * inverse[n]
            squares += d[n] * d[n]
        advantage = (rows.advantages[row] - shift) * scale
        slope = surrogate(-0.5 * squares - constant, rows.before[row], advantage, settings.clip, sums) / count
        for n in range(parts):
            d_log_std[n] += slope * (d[n] * d[n] - 1)  # d log p / d log_std = z^2 - 1
            d[n] *= slope * inverse[n]  # d log p / d mean = z / std
    squared_error(heads, rows, settings, sums)


@kept
def _log_softmax(logits: F32, log_p: F64, entropies: F32, first: int, last: int, action: int, sums: F64) -> float:
    """Write the log probabilities of one part, and its entropy for each of them. Return that of `action`."""
    largest, together, entropy, found = logits[first], 0.0, 0.0, 0.0
    for n in range(first, last):
        largest = max(largest, logits[n])
    for n in range(first, last):
        together += exp(logits[n] - largest)
    for n in range(first, last):
        log_p[n] = logits[n] - largest - log(together)
        entropy -= exp(log_p[n]) * log_p[n]
        if n - first == action:
            found = log_p[n]
    for n in range(first, last):
        entropies[n] = entropy
    sums[ENTROPY] += entropy
    return found


@kept
def choices(heads: Heads, parts: Int, rows: Rows, settings: Settings, sums: F64) -> None:
    """Write the gradient of the loss in the logits of choices in independent `parts`, and in the values."""
    shift, scale = normal(rows.advantages, settings.normalize)
    count, log_p = len(rows.before), np.empty(heads.policy.shape[1])
    for row in range(count):
        logits, d, total, first = heads.policy[row], heads.d_policy[row], 0.0, 0
        for part in range(len(parts)):
            total += _log_softmax(logits, log_p, d, first, first + parts[part], rows.actions[row, part], sums)
            first += parts[part]
        advantage = (rows.advantages[row] - shift) * scale
        slope, first = surrogate(total, rows.before[row], advantage, settings.clip, sums) / count, 0
        for part in range(len(parts)):
            for n in range(first, first + parts[part]):
                p, taken = exp(log_p[n]), 1.0 if n - first == rows.actions[row, part] else 0.0
                # d log p_a / d logit_j = 1[j = a] - p_j, and dH / d logit_j = -p_j (log p_j + H), H being in d
                d[n] = slope * (taken - p) + settings.bonus * p * (log_p[n] + d[n]) / count
            first += parts[part]
    sums[ENTROPY] /= count
    squared_error(heads, rows, settings, sums)
