"""Check of PPO's batch against the number of actors, before anything is started: `surreal plan` says it."""

from collections.abc import Iterator, Mapping
from typing import Any

from surreal.algorithms.algorithm import Sizing
from surreal.algorithms.ppo.config import PPOConfig


def sizing(config: PPOConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean together with `replicas` actors and `env`'s copies, and what is meaningless."""
    actors, copies = replicas["actor"], int(env["copies"])
    batch = config.fragment_steps * copies * actors
    size = f"{config.fragment_steps} fragment_steps x {copies} copies x {actors} actors = {batch:,}"
    notes = (
        f"a batch has {size} transitions, an update {config.epochs} x {-(-batch // config.minibatch):,} "
        f"minibatches of {min(config.minibatch, batch):,}",
        *_network(config),
    )
    return Sizing(notes, (), tuple(_problems(config, batch, size)))


def _network(config: PPOConfig) -> Iterator[str]:
    if config.network is not None:
        yield f"the networks of policy and value are made by {config.network}, gradients by autograd"


def _problems(config: PPOConfig, batch: int, size: str) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    minibatch = config.minibatch
    if minibatch > batch:
        yield "minibatch", f"{minibatch} is more than a batch has ({size}). Set at most {batch}."
        return
    if not config.normalize_advantages:
        return
    # Mean and deviation of one advantage make it zero: such a step learns nothing.
    if minibatch == 1:
        yield "minibatch", "1 learns nothing with normalize_advantages: true. Set at least 2, or turn that off."
    elif batch % minibatch == 1:
        near = next(n for n in range(minibatch + 1, batch + 2) if batch % n != 1 or n > batch)
        rest = f"{minibatch} leaves a last minibatch of one of {batch:,} ({size}), which learns nothing"
        yield "minibatch", f"{rest} with normalize_advantages: true. Set {min(near, batch)} or another divisor."
