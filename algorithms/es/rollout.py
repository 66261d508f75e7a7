"""Rolling out a population: environments stepped together, each under its own perturbed policy.

A slot is an environment with one episode at a time. Slots end and begin independently; a step of all of them is one
batched product per layer, and one call for all environments that can be stepped together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from surreal.algorithms.environments.batched.batch import Batch, Stepping, batch_of
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.es.batched_policy import Layout, Policies
from surreal.algorithms.es.chunks import Task
from surreal.algorithms.es.config import EvolutionConfig
from surreal.algorithms.es.noise import NoiseTable, episode_seeds, in_statistics
from surreal.algorithms.es.observation_sums import EpisodeSums
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array, Bool
from surreal.protocol.wire.packet import Version


@dataclass(eq=False)
class Episode:
    """One episode of a task: pair `row`, side 0 (theta + sigma epsilon) or 1 (its mirror image)."""

    task: Task
    row: int
    side: int
    cap: int
    """Steps after which it is cut."""


class Population:
    """`len(envs)` slots."""

    def __init__(
        self, envs: Sequence[Environment], layout: Layout, normalize: bool, stepping: Stepping = "auto"
    ) -> None:
        self._envs, self._normalize, slots = envs, normalize, len(envs)
        self._batch = batch_of(envs, stepping)
        self._policies = Policies(layout, slots)
        self._observations = np.zeros((slots, layout.spaces.observation), dtype=np.float32)
        self._shift, self._scale = np.zeros_like(self._observations), np.ones_like(self._observations)
        self._clip = np.full((slots, 1), np.inf, dtype=np.float32)
        self._sums = EpisodeSums(slots, layout.spaces.observation)
        self._returns, self._lengths = [0.0] * slots, [0] * slots
        self._episodes: list[Episode | None] = [None] * slots
        self._actions, self._choices = envs[0].actions, sum(layout.spaces.choices)
        self._busy: list[tuple[int, Environment, int]] = []
        self._slots = np.zeros(0, np.int64)
        self.environment_seconds = self.acting_seconds = 0.0
        self.steps = 0
        """Environment steps so far."""

    @property
    def free(self) -> list[int]:
        """Slots without an episode."""
        return [slot for slot, episode in enumerate(self._episodes) if episode is None]

    @property
    def busy(self) -> bool:
        """True if any slot has an episode."""
        return bool(self._busy)

    def begin(self, slot: int, episode: Episode, parameters: Array, standardize: Standardizer) -> None:
        """Start `episode` in a free slot with the policy of `parameters` [size]."""
        seed = int(episode.task.seeds[episode.row])
        features = self._envs[slot].reset(seed)
        if self._batch is not None:
            self._batch.begun(slot)
        wide = np.float64 in (features.dtype, standardize.shift.dtype)
        if wide and self._observations.dtype != np.float64:
            self._observations, self._shift = self._observations.astype(np.float64), self._shift.astype(np.float64)
        self._observations[slot] = features
        self._policies.parameters[slot] = parameters
        self._shift[slot], self._scale[slot] = standardize.shift, standardize.scale
        self._clip[slot] = standardize.clip
        self._sums.clear(slot)
        self._returns[slot], self._lengths[slot], self._episodes[slot] = 0.0, 0, episode
        self._note_busy()

    def step(self) -> list[Task]:
        """Step every slot that has an episode. Returns the tasks of the episodes that ended, one for each."""
        start = perf_counter()
        actions = self._act()
        began, ended = perf_counter(), list[int]()
        observations, returns, lengths = self._observations, self._returns, self._lengths
        with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold makes the return NaN
            if self._batch is not None:
                ended = self._step_together(self._batch, actions)
            else:
                for slot, env, cap in self._busy:
                    reward, terminated, truncated = env.step(actions[slot], observations, slot)
                    returns[slot] += reward
                    lengths[slot] += 1
                    if terminated or truncated or lengths[slot] >= cap:
                        ended.append(slot)
        self.steps += len(self._busy)
        self.environment_seconds += perf_counter() - began
        self.acting_seconds += began - start
        tasks = [self._end(slot) for slot in ended]
        if ended:
            self._note_busy()
        return tasks

    def _step_together(self, batch: Batch, actions: Array) -> list[int]:
        """Step every slot that has an episode by one call. Returns those whose episode ended."""
        rewards, over, late = batch.step(actions, self._slots, self._observations)
        ended, over = [], over | late
        for slot, _, cap in self._busy:
            self._returns[slot] += float(rewards[slot])
            self._lengths[slot] += 1
            if over[slot] or self._lengths[slot] >= cap:
                ended.append(slot)
        return ended

    def abandon(self, tasks: set[Task]) -> int:
        """Free the slots that roll out episodes of `tasks`. Returns the steps they had taken."""
        lost = 0
        for slot, episode in enumerate(self._episodes):
            if episode is not None and episode.task in tasks:
                self._episodes[slot] = None
                lost += self._lengths[slot]
        self._note_busy()
        return lost

    def steps_under_way(self, task: Task) -> int:
        """Steps that unfinished episodes of `task` have taken."""
        return sum(
            length
            for episode, length in zip(self._episodes, self._lengths, strict=True)
            if episode is not None and episode.task is task
        )

    def _act(self) -> Array:
        """Return every slot's action; idle ones' too, which costs less than leaving them out."""
        x = self._observations - self._shift
        x *= self._scale
        if self._normalize:
            self._sums.add(x)
        np.minimum(np.maximum(x, -self._clip, out=x), self._clip, out=x)
        return self._actions(self._policies.act(x.astype(np.float32, copy=False), self._masks()))

    def _masks(self) -> Bool | None:
        """Return the choices [slots, all] that the environments allow, all before a first reset; None without masks."""
        masks = [env.mask for env in self._envs]
        if all(mask is None for mask in masks):
            return None
        everything = np.ones(self._choices, np.bool_)
        return np.stack([everything if mask is None else mask for mask in masks])

    def _end(self, slot: int) -> Task:
        """Write down the episode in `slot`, which ended, and free it."""
        episode = self._episodes[slot]
        assert episode is not None
        self._episodes[slot] = None
        seen = self._sums.of(slot) if np.isfinite(self._observations[slot]).all() else None
        episode.task.record(episode.row, episode.side, self._returns[slot], self._lengths[slot], seen)
        return episode.task

    def _note_busy(self) -> None:
        self._busy = [
            (slot, self._envs[slot], episode.cap) for slot, episode in enumerate(self._episodes) if episode is not None
        ]
        self._slots = np.array([slot for slot, _, _ in self._busy], np.int64)

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


def task_of(
    version: Version, chunk: int, pairs: Array, noise: NoiseTable, config: EvolutionConfig, observation: int
) -> Task:
    """Return the task of evaluating `pairs` around weights of `version`; observations have `observation` numbers."""
    generation, seed = version[1], noise.seed
    counted = in_statistics(seed, generation, pairs, config.statistics_share)
    return Task(
        version,
        chunk,
        pairs,
        noise.offsets(generation, pairs),
        episode_seeds(seed, generation, pairs),
        counted & (config.normalize_observations == "running"),
        np.zeros(2 * observation + 1, dtype=np.int64),
    )
