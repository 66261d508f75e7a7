"""Instances of linear MDPs and recordings of them: some on which pessimism matters, and random ones.

On random linear MDPs with well-mixed data, greedy value iteration does as well or better. What pessimism buys shows
where the data covers the good action and hardly the others: the maximum then picks the luckiest estimate.
"""

from typing import NamedTuple

import numpy as np

from surreal.algorithms.pevi.linear import Tables, Transitions
from surreal.algorithms.types import F64


class Instance(NamedTuple):
    """A linear MDP, and what is recorded of it."""

    tables: Tables
    features: F64
    """phi [states, actions, d], or [H, states, actions, d]."""
    data: list[Transitions]


def partial_coverage(n: int, rng: np.random.Generator, arms: int = 20, few: int = 2, horizon: int = 3) -> Instance:
    """Return `arms` arms at step 1: arm 0 leads to pay by a chance of .6, the others of .5.

    Arm 0 has 0.9 n samples, each other `few`: greedy value iteration picks an arm whose few samples all paid.
    """
    counts = [round(0.9 * n), *[few] * (arms - 1)]
    return _bandit(np.array([0.6, *[0.5] * (arms - 1)]), counts, horizon, rng)


def hard_pair(n: int, rng: np.random.Generator, horizon: int = 3) -> Instance:
    """Return two arms with n / 2 samples each whose gap is .5 / sqrt(n): none can tell them apart (minimax)."""
    gap, better = 0.5 / np.sqrt(n), int(rng.integers(2))
    chances = np.full(2, 0.5)
    chances[better] += gap
    return _bandit(chances, [n // 2, n // 2], horizon, rng)


def _bandit(chances: F64, counts: list[int], horizon: int, rng: np.random.Generator) -> Instance:
    """Return an MDP whose first action leads, by chance, to the good state, which pays 1 at every later step, or to
    the bad one. States: start, good, bad."""
    arms, states = len(chances), 3
    transitions, rewards = np.zeros((horizon, states, arms, states)), np.zeros((horizon, states, arms))
    transitions[:, 1, :, 1] = transitions[:, 2, :, 2] = 1.0
    transitions[:, 0, :, 2] = 1.0
    transitions[0, 0, :, 1], transitions[0, 0, :, 2] = chances, 1 - chances
    rewards[1:, 1] = 1.0
    # one feature for each arm at the start, one for each of the other states
    features = np.zeros((states, arms, arms + 2))
    features[0] = np.eye(arms, arms + 2)
    features[1, :, arms] = features[2, :, arms + 1] = 1.0
    taken = np.repeat(np.arange(arms), counts)
    good = rng.random(len(taken)) < chances[taken]
    after = np.where(good, 1, 2)
    data = [Transitions(features[0, taken], np.zeros(len(taken)), after)]
    for _ in range(1, horizon):
        data.append(Transitions(features[after, 0], good.astype(np.float64), after))
    return Instance(Tables(transitions, rewards, np.eye(states)[0]), features, data)


def random_linear(
    n: int, rng: np.random.Generator, width: int = 6, states: int = 20, actions: int = 4, horizon: int = 5
) -> Instance:
    """Return a random linear MDP with n transitions of each step, of uniformly drawn states and actions.

    phi lies in the simplex, so that P(.|s, a) = phi^T mu with rows of mu that are distributions.
    """
    features = rng.dirichlet(np.full(width, 0.5), size=(states, actions))
    mu = rng.dirichlet(np.full(states, 0.3), size=(horizon, width))
    theta = rng.random((horizon, width))
    transitions = np.einsum("sad,hdt->hsat", features, mu)
    rewards = np.einsum("sad,hd->hsa", features, theta)
    data = []
    for h in range(horizon):
        s, a = rng.integers(states, size=n), rng.integers(actions, size=n)
        following = (transitions[h, s, a].cumsum(axis=1) < rng.random(n)[:, None]).sum(axis=1).clip(max=states - 1)
        paid = (rng.random(n) < rewards[h, s, a]).astype(np.float64)
        data.append(Transitions(features[s, a], paid, following))
    return Instance(Tables(transitions, rewards, np.full(states, 1 / states)), features, data)
