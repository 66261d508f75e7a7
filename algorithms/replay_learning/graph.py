"""Graph of algorithms that learn from replay, and settings of replay that mean nothing together: light to import.

actor x N -> experience -> replay x n shards -> sample -> learner -> weights -> actors, evaluator
"""

from collections.abc import Iterator

from surreal.algorithms.replay.config import EXPERIENCE, PRIORITIES, REPLAY, SAMPLE, ReplayConfig
from surreal.protocol.graph import Broadcast, Channel, Role, Stream

CHANNELS: tuple[Channel, ...] = (
    EXPERIENCE,
    SAMPLE,
    PRIORITIES,
    Broadcast("weights", frm="learner", to=("actor", "evaluator")),
    Stream("episodes", frm="actor", to="learner", window=16),
    Stream("metrics", frm=("actor", "replay", "evaluator"), to="learner", lossy=True),
)


def roles_of(package: str) -> tuple[Role, ...]:
    """Return the roles of an algorithm whose modules `learner` and `actor` lie in `package`."""
    return (
        Role("learner", run=f"{package}.learner:learner", ends_run=True, memory="2Gi", accelerated=True),
        Role("actor", run=f"{package}.actor:actor", replicas=2, scalable=True, expendable=True, acts=True),
        REPLAY,
        Role("evaluator", run=f"{package}.actor:evaluator", expendable=True, evaluates=True, cpu=0.5),
    )


def replay_problems(replay: ReplayConfig, total_steps: int, fragment: int, shards: int) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings of replay that are each allowed and together mean nothing.

    `fragment` is the steps of all copies of an actor in one message.
    """
    if replay.min_size > replay.capacity:
        yield "replay.min_size", f"{replay.min_size:,} is more than capacity: {replay.capacity:,}. Set at most that."
    if replay.min_size >= total_steps:
        yield "replay.min_size", f"{replay.min_size:,} is all of total_steps: {total_steps:,}. Set less."
    if fragment * shards > replay.capacity:
        yield "replay.capacity", f"{replay.capacity:,} is less than one fragment for each shard. Set more."
