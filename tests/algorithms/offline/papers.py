"""The papers' equations, one row at a time in float64: what the engines' losses are held to."""

from collections.abc import Sequence
from math import exp, log, pi
from typing import Any

import numpy as np

from surreal.algorithms.offpolicy.mlp import Layout

Vector = Any


def forward(layout: Layout, vector: Vector, x: Any) -> Vector:
    """Return the outputs of one row: relu(x W + b) layer after layer."""
    w = {name: np.asarray(part, np.float64) for name, part in layout.views(np.asarray(vector)).items()}
    row = np.asarray(x, dtype=np.float64)
    for layer in range(layout.depth + 1):
        row = row @ w[f"weight{layer}"] + w[f"bias{layer}"]
        if layer < layout.depth:
            row = np.maximum(row, 0)
    return row


def critic_values(layout: Layout, vectors: Vector, seen: Vector, action: Vector) -> list[float]:
    """Return Q_i(s, a) of every critic."""
    parts = np.asarray(vectors).reshape(-1, layout.size)
    return [float(forward(layout, part, np.concatenate([seen, action]))[0]) for part in parts]


def cloning_box(layout: Layout, actor: Vector, b: Any) -> float:
    """Return the mean over rows and entries of (tanh pi(s) - a)^2."""
    found = [(np.tanh(forward(layout, actor, s)) - a) ** 2 for s, a in zip(b.observations, b.actions, strict=True)]
    return float(np.mean(found))


def cloning_choices(layout: Layout, actor: Vector, b: Any) -> float:
    """Return the mean of -log softmax(pi(s))_a."""
    total = 0.0
    for s, a in zip(b.observations, b.actions, strict=True):
        out = forward(layout, actor, s)
        total -= out[a] - log(sum(exp(each) for each in out))
    return total / len(b.actions)


def td3bc_actor(layout: Layout, critic: Layout, actor: Vector, critics: Vector, b: Any, alpha: float) -> float:
    """Return -lambda mean Q_1(s, pi(s)) + mean (pi(s) - a)^2 with lambda = alpha / mean |Q_1| (eq. 4 and 5)."""
    values, errors = [], []
    for s, a in zip(b.observations, b.actions, strict=True):
        chosen = np.tanh(forward(layout, actor, s))
        values.append(critic_values(critic, critics[: critic.size], s, chosen)[0])
        errors.append((chosen - a) ** 2)
    weight = alpha / np.mean(np.abs(values))
    return float(-weight * np.mean(values) + np.mean(errors))


def expectile(differences: Sequence[float], tau: float) -> float:
    """Return the mean of |tau - 1(u < 0)| u^2 (Kostrikov et al. 2022, eq. 4)."""
    return float(np.mean([abs(tau - (u < 0)) * u**2 for u in differences]))


def weighted_cloning(layout: Layout, actor: Vector, b: Any, weights: Sequence[float], deviation: float) -> float:
    """Return the mean of -w log N(a; tanh pi(s), deviation), without the constant."""
    total = 0.0
    for s, a, w in zip(b.observations, b.actions, weights, strict=True):
        total += w * float(((np.tanh(forward(layout, actor, s)) - a) ** 2).sum()) / (2 * deviation**2)
    return total / len(b.actions)


def squashed(outputs: Vector, noise: Vector) -> tuple[Vector, float]:
    """Return tanh(u) and log p(tanh(u)) = log N(u) - sum log(1 - tanh(u)^2), u = mean + std noise."""
    mean, std = np.split(outputs, 2)
    std = np.exp(np.clip(std, -20, 2))
    u = mean + std * noise
    normal = -0.5 * noise**2 - np.log(std) - 0.5 * log(2 * pi)
    return np.tanh(u), float((normal - np.log(1 - np.tanh(u) ** 2)).sum())


def push(actor: Layout, critic: Layout, policy: Vector, critics: Vector, b: Any) -> float:
    """Return the sum over critics of mean (log (1 / 3n sum exp(Q) / density) - Q(s, a)) (Kumar et al. 2020, app. F)."""
    number, width = b.draws.shape[2:]
    total = 0.0
    for row, (s, after, a) in enumerate(zip(b.observations, b.next_observations, b.actions, strict=True)):
        terms: list[Vector] = []
        for n in range(number):
            uniform = b.draws[row, 0, n]
            terms.append(np.array(critic_values(critic, critics, s, uniform)) + width * log(2))
            for kind, at in ((1, s), (2, after)):
                chosen, log_p = squashed(forward(actor, policy, at), b.draws[row, kind, n])
                terms.append(np.array(critic_values(critic, critics, s, chosen)) - log_p)
        above = np.log(np.mean(np.exp(np.array(terms)), axis=0))
        total += float((above - critic_values(critic, critics, s, a)).sum())
    return total / len(b.actions)
