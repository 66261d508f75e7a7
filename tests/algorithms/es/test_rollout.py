"""Rolling out a population is rolling out each of its policies alone."""

from collections import deque
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.es.batched_policy import Layout, Policies
from surreal.algorithms.es.chunks import Task
from surreal.algorithms.es.config import ESConfig
from surreal.algorithms.es.rollout import Episode, Population
from surreal.algorithms.evaluation import episode_return
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal


class Broken(gymnasium.Env[Any, Any]):
    """Its rewards or observations are NaN from the third step on; it never ends by itself."""

    observation_space: spaces.Space[Any] = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2, start=3)

    def __init__(self, what: str = "") -> None:
        self._what, self._steps = what, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(np.int64(action))
        self._steps += 1
        bad = self._steps > 2
        observation = np.full(2, np.nan if bad and self._what == "observation" else 0.5, np.float32)
        return observation, np.nan if bad and self._what == "reward" else 1.0, False, False, {}


def broken(env: Broken | None = None) -> Environment:
    return Environment(env or Broken(), "broken")


def task(layout: Layout, pairs: int) -> Task:
    numbers = np.arange(pairs)
    counted = np.ones(pairs, dtype=np.bool_)
    return Task(
        (1, 0), 0, numbers, numbers, numbers + 11, counted, np.zeros(2 * layout.spaces.observation + 1, np.int64)
    )


def identity(layout: Layout) -> Standardizer:
    size = layout.spaces.observation
    return Standardizer(np.full(size, 0.01, np.float32), np.full(size, 0.9, np.float32))


def roll_out(envs: list[Environment], layout: Layout, vectors: Array, cap: int) -> Task:
    """All of `vectors` [pairs, 2, size], an episode each, on as many slots as there are environments."""
    population, work = Population(envs, layout, normalize=True), task(layout, len(vectors))
    waiting = deque(Episode(work, row, side, cap) for row in range(len(vectors)) for side in (0, 1))
    while work.left:
        for slot in population.free[: len(waiting)]:
            episode = waiting.popleft()
            population.begin(slot, episode, vectors[episode.row, episode.side], identity(layout))
        population.step()
    population.close()
    return work


def random_policies(env: Environment, pairs: int, hidden: list[int]) -> tuple[Layout, Array]:
    layout = Layout.of(ESConfig(hidden=hidden), env.spaces)
    return layout, np.random.default_rng(0).standard_normal((pairs, 2, layout.size)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "cap"), [("HalfCheetah-v5", 40), ("Hopper-v5", 1000), ("CartPole-v1", 500), ("Pendulum-v1", 50)]
)
def test_every_episode_is_that_of_its_policy_alone(name: str, cap: int) -> None:
    env = make_env(name)
    layout, vectors = random_policies(env, 5, [8, 7])
    together = roll_out([make_env(name) for _ in range(4)], layout, vectors, cap)
    alone, standardize = Policies(layout, 1), identity(layout)
    for row, side in np.ndindex(5, 2):
        alone.parameters[0] = vectors[row, side]
        expected = episode_return(env, lambda o: alone.act(standardize(o)), int(together.seeds[row]), cap)
        assert together.returns[row, side] == expected
    assert together.sums[-1] == together.steps.sum()


@pytest.mark.parametrize("name", ["HalfCheetah-v5", "CartPole-v1"])
def test_the_number_of_environments_stepped_together_changes_nothing(name: str) -> None:
    layout, vectors = random_policies(make_env(name), 4, [16])
    one, other = (roll_out([make_env(name) for _ in range(n)], layout, vectors, 60) for n in (1, 5))
    assert (one.returns == other.returns).all()
    assert (one.sums == other.sums).all()


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_what_is_not_finite_makes_the_return_nan(what: str) -> None:
    env = broken(Broken(what))
    layout, vectors = random_policies(env, 1, [])
    assert np.isnan(roll_out([env], layout, vectors, 5).returns).all()


def test_an_environment_that_never_ends_is_cut_at_the_cap() -> None:
    layout, vectors = random_policies(broken(), 2, [4])
    work = roll_out([broken(), broken()], layout, vectors, 7)
    assert (work.steps == 7).all()
    assert (work.returns == 7.0).all()


def test_an_abandoned_task_frees_its_slots_and_says_what_it_cost() -> None:
    layout, vectors = random_policies(broken(), 1, [])
    population, work, kept = Population([broken(), broken()], layout, True), task(layout, 1), task(layout, 1)
    population.begin(0, Episode(work, 0, 0, 9), vectors[0, 0], identity(layout))
    population.begin(1, Episode(kept, 0, 0, 9), vectors[0, 0], identity(layout))
    population.step()
    assert population.steps_under_way(work) == 1
    assert population.abandon({work}) == 1
    assert population.free == [0]


def test_images_are_refused_clearly() -> None:
    class Pictures(Broken):
        observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)

    with pytest.raises(
        Fatal, match=r"observes images: Box\(0, 255, \(8, 8, 3\), uint8\). This policy takes a vector of features"
    ):
        broken(Pictures())


def test_a_layouts_parts_fill_its_vector() -> None:
    layout = Layout(Spaces.flat(5, 3, False), (4,), True)
    layers = layout.layers(np.arange(2 * layout.size, dtype=np.float32).reshape(2, -1))
    parts = [part[1].ravel() for layer in layers for part in layer if part is not None]
    assert (np.concatenate(parts) == np.arange(layout.size, 2 * layout.size)).all()
