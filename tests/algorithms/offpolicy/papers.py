"""Slow transcriptions of the papers, one transition at a time in float64, that the engines are compared with."""

from math import exp, log, pi, sqrt, tanh
from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.mlp import Layout


def network(layout: Layout, vector: Any, inputs: Any) -> list[float]:
    """Return the outputs of a network for one row, by loops over its units."""
    parts = {name: np.asarray(part, np.float64) for name, part in layout.views(vector).items()}
    x = [float(value) for value in inputs]
    for layer in range(layout.depth + 1):
        weight, bias = parts[f"weight{layer}"], parts[f"bias{layer}"]
        x = [sum(x[i] * weight[i, j] for i in range(len(x))) + bias[j] for j in range(weight.shape[1])]
        if layer == layout.depth:
            return x
        if layout.normed:
            mean = sum(x) / len(x)
            deviation = sqrt(sum((value - mean) ** 2 for value in x) / len(x) + 1e-5)
            gain, shift = parts[f"gain{layer}"], parts[f"shift{layer}"]
            x = [(value - mean) / deviation * gain[j] + shift[j] for j, value in enumerate(x)]
        x = [max(0.0, value) for value in x]
    raise AssertionError


def clipped(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def td3_target(made: Any, data: Any, row: int) -> float:
    """Fujimoto et al. 2018, algorithm 1: y = r + gamma min_i Q'_i(s', clip(pi'(s') + clip(eps)))."""
    actor, critic = made.shape.actor, made.shape.critic
    following = data.next_observations[row]
    outputs = network(actor, made.actor.target, following)
    noise = data.next_noise[row]
    action = [clipped(tanh(a) + float(e), -1.0, 1.0) for a, e in zip(outputs, noise, strict=True)]
    size = critic.size
    values = [
        network(critic, made.critics.target[i * size : (i + 1) * size], [*following, *action])[0]
        for i in range(made.shape.critics)
    ]
    return float(data.rewards[row]) + float(data.discounts[row]) * min(values)


def sac_target(made: Any, data: Any, row: int) -> float:
    """Haarnoja et al. 2018, eq. 3 and appendix C: y = r + gamma (min_i Q'_i(s', a') - alpha log pi(a'|s'))."""
    actor, critic = made.shape.actor, made.shape.critic
    following, alpha = data.next_observations[row], float(made.temperature.value)
    outputs = network(actor, made.actor.vector, following)
    width, action, log_p = len(outputs) // 2, [], 0.0
    for mean, log_std, noise in zip(outputs[:width], outputs[width:], data.next_noise[row], strict=True):
        std = exp(clipped(log_std, -20.0, 2.0))
        u = mean + std * float(noise)
        density = exp(-0.5 * ((u - mean) / std) ** 2) / (std * sqrt(2 * pi))
        action.append(tanh(u))
        log_p += log(density / (1 - tanh(u) ** 2))
    size = critic.size
    values = [
        network(critic, made.critics.target[i * size : (i + 1) * size], [*following, *action])[0]
        for i in range(made.shape.critics)
    ]
    return float(data.rewards[row]) + float(data.discounts[row]) * (min(values) - alpha * log_p)


def sac_choices_target(made: Any, data: Any, row: int) -> float:
    """Christodoulou 2019, eq. 10: V(s') = sum_a pi(a|s') (min_i Q'_i(s', a) - alpha log pi(a|s'))."""
    critic, following = made.shape.critic, data.next_observations[row]
    logits = network(made.shape.actor, made.actor.vector, following)
    total = sum(exp(logit) for logit in logits)
    size, alpha, value = critic.size, float(made.temperature.value), 0.0
    each = [
        network(critic, made.critics.target[i * size : (i + 1) * size], following) for i in range(made.shape.critics)
    ]
    for choice, logit in enumerate(logits):
        p = exp(logit) / total
        value += p * (min(values[choice] for values in each) - alpha * log(p))
    return float(data.rewards[row]) + float(data.discounts[row]) * value


def dqn_target(made: Any, data: Any, row: int) -> float:
    """Van Hasselt et al. 2016, eq. 4, or Mnih et al. 2015; with dueling heads of Wang et al. 2016, eq. 9."""
    following = data.next_observations[row]

    def values(vector: Any) -> list[float]:
        outputs = network(made.shape.critic, vector, following)
        if not made.shape.dueling:
            return outputs
        mean = sum(outputs[1:]) / (len(outputs) - 1)
        return [outputs[0] + advantage - mean for advantage in outputs[1:]]

    judged = values(made.critics.target)
    chosen = values(made.critics.vector) if made.settings.double else judged
    best = max(range(len(chosen)), key=lambda choice: chosen[choice])
    return float(data.rewards[row]) + float(data.discounts[row]) * judged[best]


TARGETS = {
    "ddpg": td3_target,
    "td3": td3_target,
    "td3-norm": td3_target,
    "sac": sac_target,
    "sac-norm": sac_target,
    "sac-choices": sac_choices_target,
    "dqn": dqn_target,
    "dqn-double": dqn_target,
    "dqn-dueling": dqn_target,
}
