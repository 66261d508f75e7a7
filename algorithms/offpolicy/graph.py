"""Graphs of DDPG, TD3, SAC and DQN for the registry, and what their settings mean together: light to import."""

from collections.abc import Iterator, Mapping
from typing import Any

from surreal.algorithms.acting.flow import of_queue
from surreal.algorithms.algorithm import Algorithm, Sizing
from surreal.algorithms.offpolicy.config import DDPGConfig, DQNConfig, OffPolicyConfig, SACConfig, TD3Config
from surreal.algorithms.replay_learning.graph import CHANNELS, replay_problems, roles_of

ROLES = roles_of("surreal.algorithms.offpolicy")


def sizing(config: OffPolicyConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean for `replicas` of the roles and `env`'s copies, and what is meaningless."""
    updates = round((config.total_steps - config.replay.min_size) * config.updates_per_step)
    each = config.batch * config.updates_per_step
    fragment = config.fragment_steps * int(env["copies"])
    notes: tuple[str, ...] = (
        f"about {max(0, updates):,} updates of {config.batch} transitions: each step is learned from {each:,.0f} times",
        f"replay keeps {config.replay.capacity:,} steps in {_counted(replicas['replay'], 'shard')}; "
        f"{_counted(replicas['actor'], 'actor')} fill it, {fragment:,} steps at a time",
    )
    if config.threads > 1 and config.gradients != "autograd":
        notes += (f"a learner on a CPU shares each batch among {config.threads} threads, of as many cores",)
    return Sizing(notes, tuple(_warnings(config)), tuple(_problems(config, fragment, replicas["replay"])))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _warnings(config: OffPolicyConfig) -> Iterator[str]:
    if config.updates_per_step > 4 and config.layer_norm is False:
        yield f"{config.updates_per_step:g} updates for each step often diverge without layer_norm: true."


def _problems(config: OffPolicyConfig, fragment: int, shards: int) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    n_step = config.n_step
    if n_step > config.fragment_steps:
        yield "n_step", f"{n_step} is more than fragment_steps: {config.fragment_steps}. Raise fragment_steps to it."
    if config.replay.sequence_length:
        text = f"{config.replay.sequence_length} is for a memory, and these learn from single transitions"
        yield "replay.sequence_length", f"{text}. Leave it out, or take r2d2."
    yield from replay_problems(config.replay, config.total_steps, fragment, shards)


def _of(name: str, config: type[OffPolicyConfig], begins_from: tuple[str, ...] = ()) -> Algorithm:
    return Algorithm(
        name,
        config,
        ROLES,
        CHANNELS,
        sizing,
        check="surreal.algorithms.offpolicy.method:check",
        selective=True,
        masks=False,
        flow=of_queue,
        begins_from=begins_from,
    )


DDPG = _of("ddpg", DDPGConfig)
# those that learn from datasets leave checkpoints that go on with actors
TD3 = _of("td3", TD3Config, begins_from=("td3bc",))
SAC = _of("sac", SACConfig, begins_from=("cql",))
DQN = _of("dqn", DQNConfig, begins_from=("cql",))
