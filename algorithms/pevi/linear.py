"""Pessimistic value iteration for linear MDPs (Jin, Yang & Wang 2021, algorithm 2): numpy alone.

Backwards over the steps h = H..1 of an episode, with V of step H + 1 zero and n recorded transitions of each step:

    Lambda = sum phi phi^T + lambda I          w = Lambda^-1 sum phi (r + V(s'))
    Gamma(s, a) = beta sqrt(phi^T Lambda^-1 phi)
    Q(s, a) = clip(phi^T w - Gamma, 0, H - h + 1)    V(s) = max_a Q(s, a)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

import numpy as np

from surreal.algorithms.types import F64, Int


class Transitions(NamedTuple):
    """Recorded transitions of one step of the episodes."""

    features: F64
    """phi(s, a) [n, d]."""
    rewards: F64
    """[n]."""
    following: Int
    """Numbers of the next states [n], which are below the number of states."""
    ended: F64 | None = None
    """Sum of the rewards after an episode that ended with the transition [n], NaN where it went on; None for none."""


@dataclass(frozen=True)
class Solution:
    """Policy and estimates of every step, for finitely many states."""

    policy: Int
    """Greedy actions [H, states]."""
    values: F64
    """Pessimistic Q [H, states, actions]."""
    penalties: F64
    """Gamma [H, states, actions]."""
    weights: F64
    """w [H, d]."""


def solve(features: F64, data: Sequence[Transitions], beta: float, ridge: float = 1.0) -> Solution:
    """Return the pessimistic policy; `beta` 0 is greedy value iteration.

    `features` is phi [states, actions, d], or [H, states, actions, d] where it differs from step to step; `data` has
    the transitions of each of the H steps. Rewards are within 0 and 1, as the clip supposes.
    """
    horizon = len(data)
    each = features if features.ndim == 4 else np.broadcast_to(features, (horizon, *features.shape))
    _, states, actions, width = each.shape
    policy = np.zeros((horizon, states), dtype=np.int64)
    values, penalties = np.zeros((horizon, states, actions)), np.zeros((horizon, states, actions))
    weights, after = np.zeros((horizon, width)), np.zeros(states)
    for h in range(horizon - 1, -1, -1):
        phi, rewards, following, ended = data[h]
        reached = after[following] if ended is None else np.where(np.isnan(ended), after[following], ended)
        inverse = np.linalg.inv(phi.T @ phi + ridge * np.eye(width))
        weights[h] = inverse @ (phi.T @ (rewards + reached))
        penalties[h] = beta * np.sqrt(np.einsum("sad,de,sae->sa", each[h], inverse, each[h]))
        values[h] = np.clip(each[h] @ weights[h] - penalties[h], 0.0, horizon - h)
        policy[h] = values[h].argmax(axis=1)
        after = values[h].max(axis=1)
    return Solution(policy, values, penalties, weights)


def theory_beta(width: int, horizon: int, count: int, failure: float = 0.05, constant: float = 1.0) -> float:
    """Return beta = c d H sqrt(log(2 d H n / xi)) of the bound (theorem 4.4); `failure` is xi."""
    return constant * width * horizon * sqrt(log(2 * width * horizon * count / failure))


class Tables(NamedTuple):
    """A finite MDP whose steps may differ: what an oracle knows."""

    transitions: F64
    """P [H, states, actions, states]."""
    rewards: F64
    """Mean rewards [H, states, actions], within 0 and 1."""
    start: F64
    """Probabilities of the first states [states]."""


def policy_value(tables: Tables, policy: Int) -> float:
    """Return the true value of a policy [H, states] from the start, by backward induction."""
    value = np.zeros(policy.shape[1])
    for h in range(len(policy) - 1, -1, -1):
        q = tables.rewards[h] + tables.transitions[h] @ value
        value = q[np.arange(len(value)), policy[h]]
    return float(tables.start @ value)


def best_policy(tables: Tables) -> Int:
    """Return an optimal policy [H, states]."""
    horizon, states, _ = tables.rewards.shape
    policy, value = np.zeros((horizon, states), dtype=np.int64), np.zeros(states)
    for h in range(horizon - 1, -1, -1):
        q = tables.rewards[h] + tables.transitions[h] @ value
        policy[h], value = q.argmax(axis=1), q.max(axis=1)
    return policy


def suboptimality(tables: Tables, policy: Int) -> float:
    """Return V of the optimal policy less V of `policy`, from the start."""
    return policy_value(tables, best_policy(tables)) - policy_value(tables, policy)


def bound(tables: Tables, found: Solution) -> float:
    """Return 2 sum_h E of Gamma_h under the optimal policy, which sub-optimality does not exceed (theorem 4.4)."""
    policy, total, states = best_policy(tables), 0.0, tables.start
    for h in range(len(policy)):
        index = np.arange(len(states))
        total += float(states @ found.penalties[h][index, policy[h]])
        states = states @ tables.transitions[h][index, policy[h]]
    return 2 * total
