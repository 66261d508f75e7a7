"""Off-policy evaluation of a saved policy: its value estimated from a dataset alone, beside its true returns."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.datasets.dataset import Dataset, Reading
from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.fragments import Fragments
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.exporting.record import Behaviour, Recording, acting, play
from surreal.algorithms.offline.estimation import Fitting, fitted_q, importance_sampling, true_value
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.policies import Policy
from surreal.algorithms.types import F64, Array
from surreal.protocol.errors import InvalidInput

TRUE_SEED = 700_000_000
"""First seed of the true episodes: no recording has them."""


@dataclass(frozen=True)
class Estimating:
    """Settings of `estimates`."""

    fitting: Fitting = Fitting()
    seeds: int = 3
    """Runs of fitted Q evaluation, whose networks differ."""
    steps: int = 200_000
    """Steps of the dataset that are used."""
    true_episodes: int = 50
    """Episodes of the policy itself that the errors are against; 0 for none."""


def estimates(
    policy: Policy, dataset: Dataset, env: Mapping[str, Any], settings: Estimating, code: Path | str = ""
) -> dict[str, Any]:
    """Return what a policy is worth by fitted Q and, for choices, by importance sampling, the likeliest actions taken.

    `recorded` is the value of the dataset's own policies, `true` that of the policy, `estimates` have `method`, `value`
    and `error`, the value less the true one. Raises InvalidInput for a policy with memory.
    """
    if policy.state_size:
        raise InvalidInput("policy: it has memory, and is judged one step at a time. Name another one.")
    gamma, fragments = settings.fitting.gamma, Fragments(policy.spaces)
    held = _held(dataset, settings.steps)
    found: list[dict[str, Any]] = [
        {"method": f"fitted Q, seed {seed}", "value": _fitted(policy, fragments, held, settings.fitting, seed)}
        for seed in range(1, settings.seeds + 1)
    ]
    if policy.spaces.discrete:
        found += _by_ratios(policy, fragments, held, gamma)
    true = _true(policy, env, settings, code) if settings.true_episodes else None
    rows = [{**row, "error": None if true is None else row["value"] - true} for row in found]
    recorded = true_value([each.rewards for each in held], gamma)
    return {"gamma": gamma, "episodes": len(held), "recorded": recorded, "true": true, "estimates": rows}


def _held(dataset: Dataset, steps: int) -> list[Episode]:
    """Return episodes, in random order, of as many steps at least, or all."""
    held, taken = [], 0
    for episode in Reading(dataset, (0, 1), np.random.default_rng(0), lambda each: each).one_pass():
        held.append(episode)
        taken += len(episode)
        if taken >= steps:
            break
    return held


def _fitted(policy: Policy, fragments: Fragments, held: list[Episode], fitting: Fitting, seed: int) -> float:
    def choose(features: Array) -> Array:
        return fragments.actions(policy(features))

    kind: Any = "values" if policy.spaces.discrete else "deterministic"
    shape = Shape(kind, policy.spaces, fitting.hidden, 1)
    pieces = [piece for each in held for piece in fragments.of(each)]
    return fitted_q(pieces, choose, shape, replace(fitting, seed=seed))


def _by_ratios(policy: Policy, fragments: Fragments, held: list[Episode], gamma: float) -> list[dict[str, Any]]:
    def probability(episode: Episode) -> F64:
        pieces = list(fragments.of(episode))
        best = np.concatenate([fragments.actions(policy(each["observations"][:-1, 0])) for each in pieces])
        return np.asarray(best == np.concatenate([each["actions"][:, 0] for each in pieces]), dtype=np.float64)

    try:
        return [
            {
                "method": f"importance sampling, {'weighted' if weighted else 'plain'}",
                "value": importance_sampling(held, probability, gamma, weighted),
            }
            for weighted in (True, False)
        ]
    except DamagedError:  # the probabilities of its choices were not recorded
        return []


def _true(policy: Policy, env: Mapping[str, Any], settings: Estimating, code: Path | str) -> float:
    with closing(make_env(env, str(code), evaluating=True)) as made:
        recording = Recording(Path(), "surreal/true-v0")
        act = acting(Behaviour("policy", policy), made.spaces.action_space, recording)
        returns = [
            play(made, act, TRUE_SEED + number, np.random.default_rng(number), "x").rewards
            for number in range(settings.true_episodes)
        ]
    return true_value(returns, settings.fitting.gamma)
