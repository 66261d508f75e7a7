"""Graph of R2D2 for the registry, and what its settings mean together: light to import."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from surreal.algorithms.acting.flow import of_queue
from surreal.algorithms.algorithm import Algorithm, Sizing
from surreal.algorithms.inference import graph as inference
from surreal.algorithms.r2d2.config import R2D2Config
from surreal.algorithms.replay_learning.graph import CHANNELS, replay_problems, roles_of

PACKAGE = "surreal.algorithms.r2d2"
ROLES = roles_of(PACKAGE)


def sizing(config: R2D2Config, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean for `replicas` of the roles and `env`'s copies, and what is meaningless."""
    replay, copies = config.replay, int(env["copies"])
    problems = tuple(_problems(config, config.fragment_steps * copies, replicas["replay"]))
    if problems:
        return Sizing(problems=problems)
    updates = max(0, round((config.total_steps - replay.min_size) * config.updates_per_step))
    learned = replay.sequence_length - config.burn_in
    each = config.batch * learned * config.updates_per_step
    stride = replay.sequence_length - replay.sequence_overlap
    sequences = -(-(config.fragment_steps - replay.sequence_length) // stride) + 1
    reached = min(config.fragment_steps - config.burn_in, sequences * learned) / config.fragment_steps
    memory = config.network.memory
    notes = (
        f"values are of {memory.kind} of {memory.size} units"
        if memory
        else "values have no memory: network.memory is none",
        f"about {updates:,} updates of {config.batch} sequences: each step is learned from {each:,.1f} times",
        f"a fragment of {config.fragment_steps} steps has {sequences} sequences of {replay.sequence_length} steps; "
        f"values are learned in the last {learned} of each, which are {reached:.0%} of all steps",
        f"exploration: epsilon from {config.epsilon:g} of the first copy to "
        f"{config.epsilon ** (1 + config.epsilon_ladder):.2g} of the last of {copies * replicas['actor']}",
        *inference.notes(config, replicas, env),
        *filter(None, [str(env.get("network", ""))]),
    )
    return Sizing(notes, (*_warnings(config, reached), *inference.warnings(config, replicas, env)))


def _warnings(config: R2D2Config, reached: float) -> Iterator[str]:
    if not config.remembers and config.burn_in:
        yield "burn_in brings a memory up to date, and network.memory is none. Set burn_in: 0."
    if reached < 0.5:
        yield f"{1 - reached:.0%} of all steps are never learned from. Raise fragment_steps, or lower burn_in."


def _problems(config: R2D2Config, fragment: int, shards: int) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    replay, length = config.replay, config.replay.sequence_length
    if length > config.fragment_steps:
        yield "fragment_steps", f"{config.fragment_steps} is less than a sequence: {length}. Set at least that."
    if config.burn_in >= length:
        yield "burn_in", f"{config.burn_in} is all of replay.sequence_length: {length}. Set less."
    if replay.sequence_overlap >= length:
        yield "replay.sequence_overlap", f"{replay.sequence_overlap} is all of sequence_length: {length}. Set less."
    yield from replay_problems(replay, config.total_steps, fragment, shards)


VARIANTS = {"inference": {inference.CENTRAL: partial(inference.with_inference, run=f"{PACKAGE}.actor:inference")}}
R2D2 = Algorithm(
    "r2d2",
    R2D2Config,
    ROLES,
    CHANNELS,
    sizing,
    check=f"{PACKAGE}.network:check",
    selective=True,
    masks=False,
    flow=of_queue,
    variants=VARIANTS,
)
