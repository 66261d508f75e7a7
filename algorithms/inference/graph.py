"""Role and channel of central inference, and what a plan says of them: light to import."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.rollouts.config import ActingConfig
from surreal.protocol.graph import Channel, Role, Service

CENTRAL = "central"
INFERENCE = Role(
    "inference",
    run="surreal.algorithms.inference.role:inference",
    scalable=True,
    expendable=True,
    memory="2Gi",
    accelerated=True,
)
ASK = Service("inference", frm="actor", to="inference", window=4)
GROUPS = 2
"""Groups of an actor's copies: one is stepped while the other waits for its answer."""


def with_inference(algorithm: Algorithm, run: str = INFERENCE.entry_point) -> Algorithm:
    """Return an algorithm whose actors ask the role `inference`, which gets the weights in their place.

    `run` is the function of the role, for policies of another kind.
    """
    return replace(
        algorithm,
        roles=(*algorithm.roles, replace(INFERENCE, run=run)),
        channels=(*(_rewired(channel) for channel in algorithm.channels), ASK),
    )


VARIANTS = {"inference": {CENTRAL: with_inference}}
"""Value of `Algorithm.variants` for algorithms whose config is an ActingConfig."""


def _rewired(channel: Channel) -> Channel:
    if channel.name == "weights":
        return replace(channel, to=tuple("inference" if role == "actor" else role for role in channel.to))
    return replace(channel, frm=(*channel.frm, "inference")) if channel.name == "metrics" else channel


def group_sizes(copies: int) -> list[int]:
    """Return the copies of each group of an actor: two halves, or one group of a single copy."""
    first = ceil(copies / GROUPS)
    return [size for size in (first, copies - first) if size]


def served(actors: int, replicas: int, index: int = 0) -> int:
    """Return the number of actors that a replica serves: actor i asks replica i modulo their number."""
    return len(range(index, actors, replicas))


def batch_size(config: ActingConfig, actors: int, copies: int, replicas: int, index: int = 0) -> int:
    """Return the copies that a replica answers at once: what the config says, or one group of each of its actors.

    More than all its copies together would never be full.
    """
    all_copies = max(1, served(actors, replicas, index)) * copies
    return min(config.inference_batch or max(1, all_copies // len(group_sizes(copies))), all_copies)


def notes(config: ActingConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what central inference costs and brings; nothing for local inference."""
    if config.inference != CENTRAL:
        return ()
    actors, copies, servers = replicas["actor"], int(env["copies"]), replicas["inference"]
    batch = batch_size(config, actors, copies, servers)
    return (
        f"central inference: {servers} x inference answers {actors} actors x {copies} copies, {batch} copies at once "
        f"or what came within {config.inference_wait_ms:g} ms; actors hold no network",
        "it brings large batches, a GPU for acting and newer weights within a fragment; it costs a round trip for each "
        "step, which small networks on a CPU do not win back",
    )


def warnings(config: ActingConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Iterator[str]:
    """Yield advice on the settings of central inference."""
    if config.inference != CENTRAL:
        return
    actors, copies, servers = replicas["actor"], int(env["copies"]), replicas["inference"]
    asked, most = config.inference_batch or 0, served(actors, servers) * copies
    if asked > most:
        yield f"inference_batch: {asked} is more than the {most} copies of a replica. It is taken as {most}."
    elif copies > 1 and asked > most // GROUPS:
        yield (
            f"inference_batch: {asked} is more than half of the {most} copies of a replica: each batch waits for both "
            f"groups of all actors. Set at most {most // GROUPS}."
        )
    if copies == 1:
        yield "env.copies: 1 leaves an actor idle while it waits for its answer. Set at least 2."
    elif copies % GROUPS:
        yield f"env.copies: {copies} makes groups of two sizes, which are never answered together. Set an even number."
    if servers > actors:
        yield f"roles.inference.replicas: {servers} is more than {actors} actors: some replicas are never asked."
