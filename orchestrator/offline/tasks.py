"""Tasks of the offline suite: an environment, how its data is made, and the side of the wall that it stands on."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surreal.protocol.documents.models import MAX_NAME_CHARS
from surreal.protocol.errors import InvalidInput, did_you_mean

Split = Literal["tuning", "held-out"]
NOISES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of random choices of the small tasks."""
MIXES = ("random", "medium", "medium-replay", "medium-expert", "expert")


@dataclass(frozen=True)
class Source:
    """An environment of the suite and the policies that its data is of."""

    name: str
    env: str
    split: Split
    seed: int
    """Seed of the run behind it, and of its recordings."""
    episodes: int = 0
    """Episodes of a task of a rule, or"""
    steps: int = 0
    """steps of a task of a run."""


SOURCES = (
    Source("catch", "surreal.algorithms.offline.catch:Catch", "tuning", 101, episodes=2_000),
    Source("mountain_car", "MountainCar-v0", "tuning", 102, episodes=200),
    Source("cartpole", "CartPole-v1", "held-out", 103, episodes=100),
    Source("pendulum", "Pendulum-v1", "tuning", 104, steps=40_000),
    Source("hopper", "Hopper-v5", "tuning", 105, steps=100_000),
    Source("cheetah", "HalfCheetah-v5", "held-out", 106, steps=100_000),
)


@dataclass(frozen=True)
class Task:
    """One dataset of the suite."""

    source: Source
    variant: str
    """`noise-0.3` of a rule, or `medium-replay` of a run."""

    @property
    def name(self) -> str:
        """Name in commands: `cartpole/noise-0.3`."""
        return f"{self.source.name}/{self.variant}"

    @property
    def noise(self) -> float:
        """Share of random choices of a task of a rule."""
        return float(self.variant.removeprefix("noise-"))

    @property
    def number(self) -> int:
        """Number of the variant, which keeps the seeds of recordings apart."""
        return [each.variant for each in TASKS if each.source == self.source].index(self.variant)


def _tasks() -> tuple[Task, ...]:
    found = []
    for source in SOURCES:
        variants = [f"noise-{noise}" for noise in NOISES] if source.episodes else MIXES
        found += [Task(source, variant) for variant in variants]
    return tuple(found)


TASKS = _tasks()


def chosen(patterns: Sequence[str]) -> list[Task]:
    """Return the tasks that `patterns` name, each a task, an environment or `tuning` or `held-out`; all for none.

    Raises InvalidInput for a name that is none.
    """
    if not patterns:
        return list(TASKS)
    found: dict[str, Task] = {}
    for pattern in patterns:
        own = [each for each in TASKS if pattern in (each.name, each.source.name, each.source.split)]
        if not own:
            near = did_you_mean(pattern, [each.name for each in TASKS])
            raise InvalidInput(f"--task: {pattern!r} is no task{near}. List them: surreal offline tasks.")
        found |= {each.name: each for each in own}
    return list(found.values())


def check_tuning(tasks: Sequence[Task]) -> None:
    """Raise InvalidInput where a held-out task is among those that values are to be chosen on."""
    held = [each.name for each in tasks if each.source.split == "held-out"]
    if held:
        raise InvalidInput(
            f"--task: {held[0]!r} is held out: values that were chosen on it would say nothing. "
            "Tune on --task tuning, then run the chosen values without --grid."
        )


def run_name(text: str) -> str:
    """Return `text` as the name of a run may be: lower-case letters, digits and `-`; a long one ends in its hash."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if len(name) <= MAX_NAME_CHARS:
        return name
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{name[: MAX_NAME_CHARS - 9].rstrip('-')}-{digest}"
