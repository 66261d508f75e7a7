"""Parts of a table: tasks, contestants and seeds, each combination a cell with a name of its own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

SLOWEST = ("HumanoidStandup-v5", "Humanoid-v5", "Ant-v5")
"""Tasks whose steps take longest: they start first, so that no long run is left alone at the end."""
GROUPS = {
    "mujoco": (
        *SLOWEST,
        *("HalfCheetah-v5", "Walker2d-v5", "Hopper-v5", "Swimmer-v5", "Pusher-v5", "Reacher-v5"),
        *("InvertedDoublePendulum-v5", "InvertedPendulum-v5"),
    ),
    "classic": ("CartPole-v1", "Acrobot-v1", "Pendulum-v1", "MountainCarContinuous-v0"),
}
PEERS = {"sb3-ppo": "sb3_suite.py"}
"""Contestants that another library provides -> the script in benchmarks/peers that its own interpreter runs."""


@dataclass(frozen=True)
class Contestant:
    """An algorithm of the product with its defaults, with some settings changed, or one of another library."""

    name: str
    algorithm: str
    settings: tuple[tuple[str, str], ...] = ()
    """Paths below spec.algorithm.config and their values."""

    @property
    def peer(self) -> bool:
        """True where another library runs it."""
        return self.algorithm in PEERS

    @classmethod
    def parse(cls, text: str) -> "Contestant":
        """Read `ppo`, or `NAME=ALGORITHM:KEY=VALUE,KEY=VALUE`. Raise ValueError on another form."""
        name, equals, rest = text.partition("=")
        if not equals:
            return cls(text, text)
        algorithm, colon, words = rest.partition(":")
        pairs = tuple((key, value) for key, _, value in (word.partition("=") for word in words.split(",")))
        if not colon or not all(key and value for key, value in pairs):
            raise ValueError(f"--contestants: {text!r} has no settings. Write NAME=ALGORITHM:KEY=VALUE,KEY=VALUE.")
        return cls(name, algorithm, pairs)


@dataclass(frozen=True)
class Budget:
    """Settings that every cell of a table is given, whatever its task: the layout and the steps."""

    steps: int
    copies: int = 8
    actors: int = 2
    evaluate_episodes: int = 10
    evaluate_every: float = 30.0
    """Seconds between evaluations of a run of ours."""


@dataclass(frozen=True)
class Cell:
    """One run of a table."""

    contestant: Contestant
    task: str
    seed: int
    budget: Budget

    @property
    def name(self) -> str:
        """A name that an experiment may have: lower case, digits and hyphens."""
        words = f"{self.contestant.name}-{self.task}-{self.seed}".lower()
        return re.sub(r"[^a-z0-9]+", "-", words).strip("-")

    @property
    def command(self) -> str:
        """The command line that runs this cell alone."""
        who, budget = self.contestant, self.budget
        settings = ",".join(f"{key}={value}" for key, value in who.settings)
        word = f"{who.name}={who.algorithm}:{settings}" if settings else who.name
        words = f"--tasks {self.task} --contestants {word} --seeds {self.seed} --steps {budget.steps}"
        layout = f"--copies {budget.copies} --actors {budget.actors} --episodes {budget.evaluate_episodes}"
        return f"python benchmarks/suite.py --home DIR {words} {layout}"

    def experiment(self) -> dict[str, Any]:
        """Return the experiment of a cell of ours: the task and the budget, and nothing that suits one task."""
        budget = self.budget
        config = {
            "total_steps": budget.steps,
            "evaluate_episodes": budget.evaluate_episodes,
            "evaluate_every_seconds": budget.evaluate_every,
        }
        spec = {
            "env": {"id": self.task, "copies": budget.copies},
            "algorithm": {"name": self.contestant.algorithm, "config": config},
            "roles": {"actor": {"replicas": budget.actors}},
            "seed": self.seed,
        }
        kind = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment"}
        return {**kind, "metadata": {"name": self.name}, "spec": spec}


def cells(contestants: Iterable[Contestant], tasks: Iterable[str], seeds: Iterable[int], budget: Budget) -> list[Cell]:
    """Return every cell, all of one seed before the next seed's, so that a table that is cut covers all tasks."""
    return [Cell(who, task, seed, budget) for seed, task, who in product(seeds, tasks, contestants)]


def tasks_of(words: Iterable[str]) -> list[str]:
    """Return the tasks that `words` name: ids, or names of GROUPS. Each once, in order."""
    named = [task for word in words for task in GROUPS.get(word, (word,))]
    return list(dict.fromkeys(named))
