"""Facts of the fragments of one update that every learner of a run must know, as arrays that travel.

Each learner states those of its own actors' fragments. All take in the facts of all, in the order of the actors, so
that their statistics, counters and goals are the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surreal.algorithms.environments.rows import at
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.normalizers import RewardScaler, RunningMoments, numbers_of
from surreal.algorithms.rollouts.fragment import RESTARTS
from surreal.algorithms.rollouts.trajectories import Fragment
from surreal.algorithms.types import Array
from surreal.protocol.graph import ProcessName
from surreal.protocol.wire.packet import Message


@dataclass(frozen=True)
class Moments:
    """Mean and variance [size] of `count` rows."""

    mean: Array
    variance: Array
    count: int

    @classmethod
    def of(cls, rows: Array) -> "Moments":
        """Return those of `rows` [n, size], in float64."""
        if not len(rows):
            return cls(np.zeros(rows.shape[1]), np.zeros(rows.shape[1]), 0)
        return cls(rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64), len(rows))

    def into(self, running: RunningMoments) -> None:
        """Merge them into running statistics."""
        if self.count:
            running.merge(self.mean, self.variance, self.count)


@dataclass(frozen=True)
class Fact:
    """Facts of one fragment."""

    actor: int
    rank: int
    """Index of the learner that has the fragment."""
    transitions: int
    finished: int
    """Steps of the episodes that ended in it, from their beginnings on."""
    terminated: int
    """Episodes that ended in it by themselves, and not by a time limit."""
    reward: float
    """Mean of its rewards."""
    returns: Array
    """Returns of the episodes that ended in it."""
    observations: Moments | None
    rewards: Moments | None
    """Statistics of the discounted returns by which rewards are scaled."""


class Facts:
    """Maker of the facts of a learner's own fragments."""

    def __init__(self, spaces: Spaces, scaler: RewardScaler | None, observations: bool) -> None:
        """State statistics of `observations`, and of the returns that `scaler` discounts."""
        self._spaces, self._scaler, self._observations = spaces, scaler, observations
        self._lines: dict[str, str] = {}
        """Actor -> the line of episodes without a break that its last fragment is of."""

    def state(self, messages: Sequence[Message], fragments: Sequence[Fragment]) -> dict[str, Array]:
        """Return the facts of fragments, one of each actor, as arrays."""
        returns = [message.arrays["episode_returns"] for message in messages]
        stated = {
            "actors": np.array([_index(message.sender) for message in messages]),
            "transitions": np.array([message.arrays["rewards"].size for message in messages]),
            "finished": np.array([message.arrays["episode_lengths"].sum() for message in messages]),
            "terminated": np.array([np.count_nonzero(message.arrays["terminated"]) for message in messages]),
            "reward": np.array([message.arrays["rewards"].mean(dtype=np.float64) for message in messages]),
            "episodes": np.array([len(each) for each in returns]),
            "returns": np.concatenate(returns),
        }
        if self._observations:
            seen = [numbers_of(at(each.observations, slice(-1)), self._spaces) for each in fragments]
            stated |= _stated("observations", [Moments.of(rows) for rows in seen])
        if self._scaler is not None:
            stated |= _stated("rewards", [Moments.of(each) for each in self._discounted(self._scaler, messages)])
        return stated

    def _discounted(self, scaler: RewardScaler, messages: Sequence[Message]) -> list[Array]:
        arrays, lines = [message.arrays for message in messages], [_line(message) for message in messages]
        done = [each["terminated"] | each["truncated"] for each in arrays]
        found = scaler.discounted(lines, [each["rewards"] for each in arrays], done)
        for message, line in zip(messages, lines, strict=True):
            before = self._lines.get(message.sender, line)
            if before != line:
                scaler.forget(before)
            self._lines[message.sender] = line
        return found


def facts(stated: Sequence[Mapping[str, Array]]) -> list[Fact]:
    """Return the facts that all learners stated, by the index of the actor."""
    found = [fact for rank, arrays in enumerate(stated) for fact in _facts(rank, arrays)]
    return sorted(found, key=lambda fact: fact.actor)


def _facts(rank: int, stated: Mapping[str, Array]) -> Iterator[Fact]:
    ends = np.cumsum(stated["episodes"])
    returns = np.split(stated["returns"], ends[:-1])
    for number, actor in enumerate(stated["actors"]):
        moments = [_moments(name, stated, number) for name in ("observations", "rewards")]
        transitions, finished, ended = (int(stated[name][number]) for name in ("transitions", "finished", "terminated"))
        reward = float(stated["reward"][number])
        yield Fact(int(actor), rank, transitions, finished, ended, reward, returns[number], *moments)


def _stated(name: str, moments: Sequence[Moments]) -> dict[str, Array]:
    return {
        f"{name}.mean": np.stack([each.mean for each in moments]),
        f"{name}.variance": np.stack([each.variance for each in moments]),
        f"{name}.count": np.array([each.count for each in moments]),
    }


def _moments(name: str, stated: Mapping[str, Array], number: int) -> Moments | None:
    if f"{name}.mean" not in stated:
        return None
    mean, variance = stated[f"{name}.mean"][number], stated[f"{name}.variance"][number]
    return Moments(mean, variance, int(stated[f"{name}.count"][number]))


def _line(message: Message) -> str:
    """Return a name of the episodes that go on from one fragment to the next: they break off where all begin anew."""
    return f"{message.sender} {message.incarnation} {message.meta.get(RESTARTS, 0)}"


def _index(sender: str) -> int:
    return ProcessName.parse(sender).index
