"""Off-policy evaluation: the value of a policy estimated from a dataset alone, by fitted Q or by importance sampling.

A value is the mean discounted return from the dataset's first observations, so that it can be held to true returns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.offpolicy.loops import NUMPY
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.analytic import Deterministic
from surreal.algorithms.offpolicy.updates.base import Batch, Settings
from surreal.algorithms.offpolicy.updates.lanes import Lanes
from surreal.algorithms.offpolicy.updates.values import Values
from surreal.algorithms.types import F64, Array

Choose = Callable[[Array], Array]
"""Features [n, observation] -> actions of the policy as its network gives them: [n] choices, or [n, action] in +-1."""


@dataclass(frozen=True)
class Fitting:
    """Settings of fitted Q evaluation (Le, Voloshin & Yue 2019)."""

    gamma: float = 0.99
    updates: int = 5_000
    batch: int = 256
    hidden: tuple[int, ...] = (64, 64)
    rate: float = 1e-3
    target_share: float = 0.01
    seed: int = 1


class _Judged(Values):
    """Values of choices whose next choice is that of the judged policy, which `next_noise` [rows, 1] holds."""

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d Q'(s', pi(s'))."""
        judged = self.critics.targets[0](rows.next_observations)
        chosen = judged[np.arange(len(judged)), rows.next_noise[:, 0].astype(np.int64)]
        return np.asarray(rows.rewards + rows.discounts * chosen)


class _JudgedBox(Deterministic):
    """Values of actions whose next action is that of the judged policy, which `next_noise` [rows, action] holds."""

    def targets(self, rows: Batch) -> Array:
        """Return y = r + d Q'(s', pi(s'))."""
        inputs = np.concatenate([rows.next_observations, rows.next_noise], axis=1)
        return np.asarray(rows.rewards + rows.discounts * self.critics.targets[0](inputs)[:, 0])


def fitted_q(fragments: Sequence[dict[str, Array]], choose: Choose, shape: Shape, settings: Fitting) -> float:
    """Return the value of a policy by fitted Q evaluation on fragments of one episode each.

    `shape` has one critic, of kind `values` for choices and `deterministic` for Box actions.
    """
    rng = np.random.default_rng(settings.seed)
    rows = _rows(fragments, choose, settings.gamma)
    vectors, discrete = shape.initial(rng), shape.kind == "values"
    engine = (_Judged if discrete else _JudgedBox)(shape, Settings(), vectors, Lanes(1), NUMPY)
    for _ in range(settings.updates):
        index = rng.integers(len(rows.rewards), size=settings.batch)
        engine.critic_step(_picked(rows, index), settings.rate)
        engine.move_targets(settings.target_share)
    first = np.concatenate([each["observations"][:1, 0] for each in fragments])
    chosen = choose(first)
    if discrete:
        return float(engine.critics.networks[0](first)[np.arange(len(first)), chosen].mean())
    return float(engine.critics.networks[0](np.concatenate([first, chosen], axis=1)).mean())


def _rows(fragments: Sequence[dict[str, Array]], choose: Choose, gamma: float) -> Batch:
    following = np.concatenate([each["observations"][1:, 0] for each in fragments])
    ends = np.concatenate([each["terminated"][:, 0] for each in fragments])
    chosen = choose(following)
    return Batch(
        np.concatenate([each["observations"][:-1, 0] for each in fragments]).astype(np.float32),
        np.concatenate([each["actions"][:, 0] for each in fragments]),
        np.concatenate([each["rewards"][:, 0] for each in fragments]),
        np.where(ends, 0.0, gamma).astype(np.float32),
        following.astype(np.float32),
        np.ones(len(following), dtype=np.float32),
        np.zeros((len(following), 0), dtype=np.float32),
        chosen.reshape(len(chosen), -1).astype(np.float32),
    )


def _picked(rows: Batch, index: Array) -> Batch:
    names = ("observations", "actions", "rewards", "discounts", "next_observations", "weights", "noise", "next_noise")
    return replace(rows, **{name: getattr(rows, name)[index] for name in names})


def importance_sampling(
    episodes: Sequence[Episode], probability: Callable[[Episode], F64], gamma: float, weighted: bool = True
) -> float:
    """Return the value of a policy by per-decision importance sampling (Precup, Sutton & Singh 2000).

    `probability` returns the policy's own probability [steps] of the recorded choices. With `weighted` the ratios of
    each step are divided by their sum over episodes. Raises DamagedError where probabilities were not recorded.
    """
    longest = max(map(len, episodes))
    ratios, rewards = np.zeros((len(episodes), longest)), np.zeros((len(episodes), longest))
    for row, episode in enumerate(episodes):
        logs: Any = episode.behaviour.get("log_probabilities")
        if logs is None:
            raise DamagedError(f"{episode.place}: it has no log_probabilities. Record choices by a greedy policy.")
        steps = len(episode)
        ratios[row, :steps] = np.cumprod(probability(episode) / np.exp(logs))
        # an episode that has ended counts on with reward 0 and the ratio that it ended with
        ratios[row, steps:] = ratios[row, steps - 1]
        rewards[row, :steps] = episode.rewards * gamma ** np.arange(steps)
    shares = ratios.sum(axis=0) if weighted else np.full(longest, float(len(episodes)))
    return float(np.divide((ratios * rewards).sum(axis=0), shares, out=np.zeros(longest), where=shares > 0).sum())


def true_value(returns: Sequence[F64], gamma: float) -> float:
    """Return the mean discounted return of rewards [steps] of whole episodes of the policy itself."""
    return float(np.mean([(rewards * gamma ** np.arange(len(rewards))).sum() for rewards in returns]))
