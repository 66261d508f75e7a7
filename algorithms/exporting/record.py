"""Recording of datasets: whole episodes of a mixture of policies. None that was acknowledged is lost."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from surreal.algorithms.datasets.episode import Episode
from surreal.algorithms.datasets.writing.building import Building
from surreal.algorithms.datasets.writing.minari import DatasetWriter
from surreal.algorithms.environments.actions import action_map, choices_of, chosen
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.masks import gives_masks, read_mask
from surreal.algorithms.evaluation import EPISODE_CAP
from surreal.algorithms.policies import Policy
from surreal.algorithms.recording.policy_record import versions
from surreal.algorithms.types import Array, Bool
from surreal.protocol.errors import InvalidInput


class Moment(NamedTuple):
    """Knowledge by which an action is chosen."""

    observation: Any
    mask: Bool | None = None
    """Choices [all] that are allowed; None without masks."""
    reward: float = 0.0
    """Reward of the action before; 0 at the start of an episode."""


Act = Callable[[Moment, np.random.Generator], tuple[Any, float]]
"""(Moment, generator) -> action, and the log of its probability; NaN where that is not known."""


@dataclass(frozen=True)
class Behaviour:
    """One part of a mixture."""

    name: str
    """Place of the policy, for the provenance: `hopper-sac step 40000`, or `random`."""
    policy: Policy | None
    """None acts by the rule, or at random, uniformly over the action space."""
    weight: float = 1.0
    rule: Callable[[Any], Any] | None = None
    """Action of an observation, in place of a policy."""


@dataclass(frozen=True)
class Recording:
    """Settings of one recording."""

    folder: Path
    dataset_id: str
    episodes: int | None = None
    """Episodes to record, or"""
    steps: int | None = None
    """steps, after which the last episode still ends as a whole."""
    noise: float = 0.0
    """Share of random choices, or deviation of Gaussian noise in halves of a Box action's range."""
    sample: bool = False
    """Draw actions of stochastic policies instead of taking the likeliest."""
    seed: int = 1
    """Episode i begins from seed + i."""


def record(
    mixture: Sequence[Behaviour],
    env: Mapping[str, Any],
    settings: Recording,
    code: Path | str = "",
    say: Callable[[int, int], None] = lambda episodes, steps: None,
) -> Path:
    """Record episodes of `env`, what `spec.env` of a file says, each by one policy of `mixture`; return the folder.

    The policy of an episode, its seed and its noise depend on its number alone: a recording that was interrupted and is
    begun again with the same settings becomes the same dataset. `say` gets both counts after every
    episode. Raises InvalidInput for settings that mean nothing.
    """
    if (settings.episodes is None) == (settings.steps is None):
        raise InvalidInput("--episodes: give it or --steps, one of them. For example --episodes 100.")
    weights = np.array([each.weight for each in mixture], dtype=np.float64)
    if not len(weights) or not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InvalidInput(f"--checkpoint: weights {weights.tolist()} make no mixture. Give numbers above 0.")
    with closing(make_env(env, str(code), evaluating=True)) as made:
        raw, found = made.gymnasium, made.spaces
        about = _provenance(mixture, env, settings, versions(made.module))
        writer = DatasetWriter(
            settings.folder, settings.dataset_id, found.observation_space, found.action_space, raw.spec, about
        )
        with writer:
            while not _enough(writer, settings):
                number = writer.episodes
                rng = np.random.default_rng([settings.seed, number])
                chosen = mixture[int(rng.choice(len(mixture), p=weights / weights.sum()))]
                act = acting(chosen, found.action_space, settings)
                seed, place = settings.seed + number, f"episode {number}"
                writer.add(play(made, act, seed, rng, place))
                say(writer.episodes, writer.steps)
    return settings.folder


def _enough(writer: DatasetWriter, settings: Recording) -> bool:
    if settings.episodes is not None:
        return writer.episodes >= settings.episodes
    return writer.steps >= (settings.steps or 0)


def _provenance(
    mixture: Sequence[Behaviour], env: Mapping[str, Any], settings: Recording, found: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "mixture": [{"policy": each.name, "weight": each.weight} for each in mixture],
        "env": {key: env[key] for key in ("id", "options", "wrappers", "evaluation") if env.get(key)},
        "noise": settings.noise,
        "sample": settings.sample,
        "seed": settings.seed,
        "versions": dict(found),
    }


def play(made: Environment, act: Act, seed: int, rng: np.random.Generator, place: str) -> Episode:
    """Return one episode as the environment gave it, of EPISODE_CAP steps at most.

    `act` is told the last reward as the policy had it in training.
    """
    env, choices = made.gymnasium, made.spaces.choices
    observation, info = env.reset(seed=seed)
    built, terminated, truncated = Building(observation, seed), False, False
    masked, name = gives_masks(info, choices), repr(made.name)
    moment = Moment(observation, read_mask(name, "reset", info, choices) if masked else None)
    while not (terminated or truncated) and len(built) < EPISODE_CAP:
        action, log_p = act(moment, rng)
        observation, reward, terminated, truncated, info = env.step(action)
        built.add(action, observation, reward, log_p)
        goes_on = masked and not (terminated or truncated)
        mask = read_mask(name, "step", info, choices) if goes_on else None
        moment = Moment(observation, mask, made.reward_in_training(float(reward)))
    return built.episode(place, bool(terminated))


def acting(behaviour: Behaviour, space: spaces.Space[Any], settings: Recording) -> Act:
    """Return how one episode is acted: by the policy or the rule, with noise over it."""
    choices, policy = int(space.n) if isinstance(space, spaces.Discrete) else 0, behaviour.policy
    if policy is None and behaviour.rule is None:
        return lambda moment, rng: (
            _random(space, rng, moment.mask),
            -log(_allowed(space, moment.mask)) if choices else float("nan"),
        )
    drawn = settings.sample and policy is not None and policy.state_size == 0
    choose = _remembering(policy, drawn) if policy is not None else _by_rule(behaviour)

    def act(moment: Moment, rng: np.random.Generator) -> tuple[Any, float]:
        action = choose(moment, rng)
        if choices:
            return _noisy_choice(action, space, settings, rng, drawn, moment.mask)
        return _noisy(action, space, settings.noise, rng), float("nan")

    return act


def _remembering(policy: Policy, drawn: bool) -> Callable[[Moment, np.random.Generator], Any]:
    """Return the policy as a function of one moment, with the memory of one episode."""
    state = policy.initial_state(1)

    def choose(moment: Moment, rng: np.random.Generator) -> Any:
        nonlocal state
        seed, masks = int(rng.integers(2**31)), None if moment.mask is None else moment.mask[None]
        rows, rewards = _one(moment.observation), [moment.reward]
        actions, state = policy.step(rows, state, sample=drawn, rng=seed, masks=masks, rewards=rewards)
        return actions[0]

    return choose


def _by_rule(behaviour: Behaviour) -> Callable[[Moment, np.random.Generator], Any]:
    rule = behaviour.rule
    assert rule is not None
    return lambda moment, rng: np.int64(rule(moment.observation))


def _noisy_choice(
    best: Any, space: Any, settings: Recording, rng: np.random.Generator, drawn: bool, mask: Bool | None
) -> tuple[Any, float]:
    """Return a choice: with probability `noise` a random one. Its probability is known where the policy is greedy."""
    taken = _random(space, rng, mask) if rng.random() < settings.noise else best
    probability = settings.noise / _allowed(space, mask) + (1 - settings.noise) * bool(taken == best)
    return taken, float("nan") if drawn else log(probability)


def _noisy(action: Array, space: spaces.Space[Any], noise: float, rng: np.random.Generator) -> Array:
    if not noise or not isinstance(space, spaces.Box):
        return action
    bounded = np.isfinite(space.low) & np.isfinite(space.high)
    half = np.where(bounded, (space.high - space.low) / 2, 1.0)
    moved = action + noise * half * rng.standard_normal(space.shape)
    return np.asarray(np.clip(moved, space.low, space.high), dtype=space.dtype)


def _allowed(space: Any, mask: Bool | None) -> int:
    """Return the number of choices of a Discrete that are allowed."""
    return int(space.n) if mask is None else int(mask.sum())


def _random(space: spaces.Space[Any], rng: np.random.Generator, mask: Bool | None) -> Any:
    """Return a uniform action of those allowed; the space's own generator is not touched."""
    if mask is not None:
        return action_map(space)(chosen((rng.random(len(mask)) * mask)[None], choices_of(space)))[0]
    if isinstance(space, spaces.Discrete):
        return np.int64(space.start + rng.integers(space.n))
    if isinstance(space, spaces.Box) and np.isfinite(space.low).all() and np.isfinite(space.high).all():
        return rng.uniform(space.low, space.high).astype(space.dtype)
    space.seed(int(rng.integers(2**31)))
    return space.sample()


def _one(observation: Any) -> Any:
    """Return the observation as one of n."""
    return observation[None] if isinstance(observation, np.ndarray) else [observation]
