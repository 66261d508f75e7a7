"""Parts of a table: tasks, contestants and seeds, each combination a cell with a name of its own."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from shlex import quote
from typing import Any

from learning.rows import PEER
from learning.tasks import env_of, group_of
from surreal.algorithms.algorithm import Algorithm
from surreal.algorithms.registry import algorithm, algorithms
from surreal.protocol.documents.models import MAX_NAME_CHARS

PEERS = {f"{PEER}{name}": ("sb3_suite.py", "--algorithm", name) for name in ("ppo", "td3", "sac", "ddpg")}
"""Contestants that another library provides -> the script in benchmarks/peers that its own interpreter runs."""
COPIES, REPLAYED_COPIES = 8, 1
"""Environments of an actor, and of one that fills replay: more would act with older weights, for as many steps."""
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Names of contestants: those of their experiments begin with them, so that no two share one."""
SETTINGS = re.compile(r",(?=[^,=]+=)")
"""What stands between two settings; a comma within a list is none."""
EVERY = 30.0
"""Seconds between evaluations of a run of ours, where nothing else is said."""
OF_TABLE = {
    **{"total_steps": "--steps", "evaluate_episodes": "--episodes", "evaluate_every_seconds": "--every"},
    **dict.fromkeys(("return_window", "stop_at_return", "evaluation_episode_cap"), ""),
}
"""Key of a config by which all runs of a table are measured alike -> the option that sets it, if one does."""
WINDOW = 100
"""Training episodes of a mean return, of algorithms that have a choice."""


@dataclass(frozen=True)
class Contestant:
    """An algorithm of the product with its defaults, with some settings changed, or one of another library."""

    name: str
    algorithm: str
    settings: tuple[tuple[str, str], ...] = ()
    """Paths below spec.algorithm.config and their values."""

    @property
    def word(self) -> str:
        """Word that names it on the command line."""
        settings = ",".join(f"{key}={value}" for key, value in self.settings)
        return f"{self.name}={self.algorithm}:{settings}" if settings else self.name

    @property
    def peer(self) -> bool:
        """True where another library runs it."""
        return self.algorithm in PEERS

    @classmethod
    def parse(cls, text: str) -> "Contestant":
        """Read `ppo`, or `NAME=ALGORITHM:KEY=VALUE,KEY=VALUE`. Raise ValueError on another form.

        Raise InvalidInput, which lists those there are, on an unknown algorithm.
        """
        name, equals, rest = text.partition("=")
        if ":" in name:
            raise ValueError(f"--contestants: {text!r} needs a name of its own. Write NAME={text}.")
        of, colon, words = rest.partition(":") if equals else (text, "", "")
        if of not in PEERS and not any(role.acts for role in algorithm(of).roles):
            raise ValueError(f"--contestants: {of!r} learns from datasets and plays no task. Leave it out.")
        if not equals:
            return cls(text, text)
        if of in PEERS:
            raise ValueError(f"--contestants: {text!r} has settings, and {of} has those of its script alone.")
        if not NAME.fullmatch(name):
            raise ValueError(f"--contestants: {name!r} is no name. Use small letters, digits and single hyphens.")
        if (name != of and name in algorithms()) or name.startswith(PEER):
            raise ValueError(f"--contestants: {name!r} is the name of something else. Take another for {of}.")
        pairs = tuple((key, value) for key, _, value in (word.partition("=") for word in SETTINGS.split(words)))
        if not colon or not all(key and value for key, value in pairs):
            raise ValueError(f"--contestants: {text!r} has no settings. Write NAME=ALGORITHM:KEY=VALUE,KEY=VALUE.")
        if twice := [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]:
            raise ValueError(f"--contestants: {text!r} sets {twice[0]} twice. Leave one out.")
        for key in OF_TABLE.keys() & {key for key, _ in pairs}:
            instead = f"Give {OF_TABLE[key]}" if OF_TABLE[key] else "Leave it out"
            raise ValueError(f"--contestants: {text!r} sets {key}, which all runs of a table have alike. {instead}.")
        return cls(name, of, pairs)


@dataclass(frozen=True)
class Budget:
    """Settings that every cell of a table is given, whatever its task: the layout and the steps."""

    steps: int
    copies: int | None = None
    """Environments of one actor or worker; by default COPIES, or REPLAYED_COPIES."""
    actors: int = 2
    evaluate_episodes: int = 10
    evaluate_every: float = EVERY
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
        """A name that an experiment may have: lower case, digits and hyphens, the end of a long one a digest of it."""
        words = f"{self.contestant.name}-{self.task}-{self.budget.steps}-{self.seed}".lower()
        name = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
        if len(name) <= MAX_NAME_CHARS:
            return name
        digest = sha256(name.encode()).hexdigest()[:8]
        return f"{name[: MAX_NAME_CHARS - 9].rstrip('-')}-{digest}"

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Key of its row."""
        return self.contestant.name, self.task, self.budget.steps, self.seed

    @property
    def who(self) -> tuple[str, str, int]:
        """First values of its row."""
        return self.contestant.name, self.task, self.seed

    @property
    def what(self) -> dict[str, Any]:
        """Values of its row that make it comparable with others."""
        return {"algorithm": self.contestant.algorithm, "budget": self.budget.steps}

    @property
    def command(self) -> str:
        """The command line that runs this cell alone."""
        word, budget = self.contestant.word, self.budget
        words = f"--tasks {self.task} --contestants {quote(word)} --seeds {self.seed} --steps {budget.steps}"
        measured = f"--episodes {budget.evaluate_episodes}"
        measured += f" --every {budget.evaluate_every:g}" if budget.evaluate_every != EVERY else ""
        return f"python benchmarks/suite.py --home DIR {words} {self.layout} {measured}"

    @property
    def layout(self) -> str:
        """Options that say its layout; empty where another library runs it."""
        return "" if self.contestant.peer else f"--copies {self._copies()} --actors {self.budget.actors}"

    def experiment(self) -> dict[str, Any]:
        """Return the experiment of a cell of ours: the task and the budget, and nothing that suits one task."""
        acting = next(role.name for role in self._algorithm().roles if role.acts)
        spec = {
            "env": {**env_of(self.task), "copies": self._copies()},
            "algorithm": {"name": self.contestant.algorithm, "config": self._config()},
            "roles": {acting: {"replicas": self.budget.actors}},
            "seed": self.seed,
        }
        kind = {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment"}
        return {**kind, "metadata": {"name": self.name}, "spec": spec}

    @property
    def overrides(self) -> list[str]:
        """Settings of its contestant, as `--set` takes them."""
        return [f"spec.algorithm.config.{key}={value}" for key, value in self.contestant.settings]

    @property
    def document(self) -> str:
        """The file of its experiment, with the settings of its contestant as comments: they are given as words."""
        return "".join(f"# --set {word}\n" for word in self.overrides) + json.dumps(
            self.experiment(), indent=1
        )  # JSON is YAML

    def _config(self) -> dict[str, Any]:
        """The budget, how figures are measured, and the network where observations are images."""
        known, network = self._algorithm().config.model_fields, group_of(self.task).network
        return {
            "total_steps": self.budget.steps,
            "evaluate_episodes": self.budget.evaluate_episodes,
            "evaluate_every_seconds": self.budget.evaluate_every,
            **({"return_window": WINDOW} if "return_window" in known else {}),
            **({"network": dict(network)} if network and "network" in known else {}),
        }

    def _copies(self) -> int:
        if self.budget.copies:
            return self.budget.copies
        return REPLAYED_COPIES if any(role.name == "replay" for role in self._algorithm().roles) else COPIES

    def _algorithm(self) -> Algorithm:
        return algorithm(self.contestant.algorithm)


def cells(contestants: Iterable[Contestant], tasks: Iterable[str], seeds: Iterable[int], budget: Budget) -> list[Cell]:
    """Return every cell once, all of one seed before the next seed's, so that a table that is cut covers all tasks.

    Raise ValueError where two different ones would share an experiment.
    """
    found = dict.fromkeys(Cell(who, task, seed, budget) for seed, task, who in product(seeds, tasks, contestants))
    named: dict[str, Cell] = {}
    for cell in found:
        if named.setdefault(cell.name, cell) != cell:
            raise ValueError(f"--contestants: two of them would share the run {cell.name}. Name them apart.")
    return list(found)
