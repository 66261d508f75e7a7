"""Fragments of an actor that asks for its actions: two groups of copies, one of which steps while the other waits.

A fragment is the same as that of an actor with a policy of its own (rollouts/rollout.py).
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.acting.actors import EpisodeReturns
from surreal.algorithms.environments.actions import ActionMap
from surreal.algorithms.environments.frames import Observations, observations
from surreal.algorithms.environments.rows import Rows, at, joined, named
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.inference.asking import Asking
from surreal.algorithms.rollouts.fragment import allocate
from surreal.algorithms.types import Array, Bool
from surreal.protocol.profiling.spans import SIMULATOR, operation
from surreal.protocol.wire.packet import Message, Version

Explore = Callable[[Array, slice], Array]
"""Function of the actions [n] of some copies of an actor, and of the place of these."""


class Group:
    """Some of an actor's copies: their environments, their place in a fragment, their question under way."""

    def __init__(self, envs: VectorEnvironments, asking: Asking, begin: int, size: int) -> None:
        self.envs, self.asking = envs, asking
        self.copies = slice(begin, begin + size)
        self._size = size
        self.restart()

    def restart(self) -> None:
        """Begin new episodes in all copies."""
        self.rows: Rows = self.envs.reset()
        self.first: Bool = np.ones(self._size, dtype=np.bool_)
        self.last = {"last_actions": np.zeros(self._size, np.int64), "last_rewards": np.zeros(self._size, np.float32)}

    def ask(self, newer_than: Version | None, with_last: bool) -> None:
        """Ask for the actions of the present rows, and say what was done last and what it brought where asked to."""
        arrays: dict[str, Any] = {
            **named("observations", self.rows),
            "first": self.first,
            **(self.last if with_last else {}),
        }
        if self.envs.masks is not None:
            arrays["masks"] = self.envs.masks.copy()
        self.asking.ask(arrays, newer_than)


class Collected(NamedTuple):
    """One fragment."""

    arrays: dict[str, Array]
    version: Version
    """Oldest weights that acted in it."""


class MemoryLostError(Exception):
    """The answering replica no longer knew what the copies remembered."""


class CentralRollout:
    """Collects fragments of `steps` from groups of environments that live on between fragments."""

    def __init__(
        self,
        groups: list[Group],
        onto_bounds: ActionMap,
        steps: int,
        sequence: int,
        state_size: int,
        explore: Explore | None = None,
    ) -> None:
        """Store the memory of a policy that has one, of `state_size`, every `sequence` steps.

        `explore` changes the actions that are answered; the next question then says what was done.
        """
        self._explore = explore
        self._groups, self._onto_bounds = groups, onto_bounds
        self._steps, self._sequence, self._state_size = steps, sequence, state_size
        self._copies = groups[-1].copies.stop
        self._spaces = groups[0].envs.spaces
        self._returns = EpisodeReturns(self._copies)
        self.env_seconds = 0.0
        self.lost = 0
        """Fragments that were dropped since a replica had lost the memory of the copies."""

    def collect(self, newer_than: Version | None, stopping: Callable[[], bool]) -> Collected | None:
        """Return one fragment by weights that exceed `newer_than`; None where `stopping` became true.

        Raises Stopping, CallError and Refused as `Asking.answer` does.
        """
        while not stopping():
            for group in self._groups:
                self._ask(group, newer_than)
            try:
                with operation("acting") as span:
                    before, steps = self.env_seconds, self._steps * len(self._groups)
                    found = self._collect(newer_than, stopping)
                    span.spent("simulation", SIMULATOR, self.env_seconds - before, steps)
                return found
            except MemoryLostError:
                self.lost += 1
                self.restart()
        return None

    def restart(self) -> None:
        """Begin new episodes with new seeds in every environment, forgetting the ones under way."""
        self._returns.clear()
        for group in self._groups:
            group.restart()

    def _collect(self, newer_than: Version | None, stopping: Callable[[], bool]) -> Collected | None:
        # new arrays for every fragment: the channel still owns the last one's until they are acknowledged
        seen = observations(self._spaces, joined([group.rows for group in self._groups]), self._steps)
        fragment, final = self._allocate(), list[Rows]()
        versions: list[Version] = []
        for t in range(self._steps):
            for group in self._groups:
                answer = group.asking.answer()
                self._take(answer, fragment, group, t)
                versions.append(answer.version)
                self._step(group, seen, fragment, t, final)
                if t + 1 < self._steps:
                    self._ask(group, newer_than)
            seen.wrote(t + 1)
            if stopping():
                return None
        done = fragment["terminated"] | fragment["truncated"]
        fragment["episode_returns"], fragment["episode_lengths"] = self._returns.ended(fragment["rewards"], done)
        return Collected({**seen.arrays(final), **fragment}, min(versions))

    def _ask(self, group: Group, newer_than: Version | None) -> None:
        group.ask(newer_than, self._explore is not None and self._state_size > 0)

    def _allocate(self) -> dict[str, Array]:
        fragment = allocate(self._spaces, self._steps, self._copies)
        fragment["log_probs"] = np.empty_like(fragment["rewards"])
        masks = [group.envs.masks for group in self._groups if group.envs.masks is not None]
        if masks:
            fragment["masks"] = np.empty((self._steps + 1, self._copies, masks[0].shape[1]), np.bool_)
            fragment["masks"][0] = np.concatenate(masks)
        if self._state_size:
            shape = (self._steps // self._sequence, self._copies, self._state_size)
            fragment["states"] = np.empty(shape, np.float32)
        return fragment

    def _take(self, answer: Message, fragment: dict[str, Array], group: Group, t: int) -> None:
        """Write an answer into the fragment. Raises MemoryLostError within one, whose first state would be wrong."""
        if self._state_size and t and answer.arrays["fresh"]:
            raise MemoryLostError
        actions = answer.arrays["actions"]
        fragment["actions"][t, group.copies] = self._explore(actions, group.copies) if self._explore else actions
        fragment["log_probs"][t, group.copies] = answer.arrays["log_probs"]
        if self._state_size and t % self._sequence == 0:
            fragment["states"][t // self._sequence, group.copies] = answer.arrays["states"]

    def _step(self, group: Group, seen: Observations, fragment: dict[str, Array], t: int, final: list[Rows]) -> None:
        """Step the copies of one group, and note what they saw."""
        copies, start = group.copies, perf_counter()
        group.rows = at(seen.row(t + 1), copies)
        ended, cut = fragment["terminated"][t, copies], fragment["truncated"][t, copies]
        actions = self._onto_bounds(fragment["actions"][t, copies])
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is infinite, and refused later
            final += group.envs.step(actions, group.rows, fragment["rewards"][t, copies], ended, cut)
        group.first = ended | cut
        if self._explore is not None:
            group.last = {
                "last_actions": fragment["actions"][t, copies],
                "last_rewards": fragment["rewards"][t, copies],
            }
        if "masks" in fragment:
            fragment["masks"][t + 1, copies] = group.envs.masks
        self.env_seconds += perf_counter() - start
