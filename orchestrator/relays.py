"""Relays of broadcasts: roles that an experiment adds to its algorithm's."""

from collections.abc import Mapping
from dataclasses import replace

from surreal.algorithms.catalog import Algorithm
from surreal.protocol.graph import relay_role


def broadcasts(algorithm: Algorithm) -> list[str]:
    """Names of the channels that can have relays."""
    return [channel.name for channel in algorithm.channels if channel.kind == "broadcast"]


def with_relays(algorithm: Algorithm, relays: Mapping[str, int]) -> Algorithm:
    """The algorithm with one more role for each of its broadcasts that is to have relays."""
    added = tuple(relay_role(name, relays[name]) for name in broadcasts(algorithm) if relays.get(name))
    return replace(algorithm, roles=algorithm.roles + added)
