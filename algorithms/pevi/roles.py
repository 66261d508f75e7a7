"""Roles of `pevi`: a learner that reads the dataset, solves once and publishes, and an evaluator."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.datasets.dataset import Reading
from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.opening import open_all
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import View
from surreal.algorithms.evaluation import Act, evaluate_on_clock
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.pevi.config import PEVIConfig
from surreal.algorithms.pevi.linear import Transitions, solve
from surreal.algorithms.recording.policy_record import describe
from surreal.algorithms.training_loop import ArrayState, Trainer, Waiting, train
from surreal.algorithms.types import F64, Array, Int
from surreal.protocol.errors import ExitCode, Fatal
from surreal.protocol.wire.packet import Message, Version
from surreal.protocol.worker.process import Process

MOST_PAIRS = 20_000
"""Pairs of state and action, each of which is a feature: the regression inverts a matrix of their number squared."""
EVERY_SECONDS = 10.0


def check(config: PEVIConfig, make: Callable[[View], Environment]) -> Iterator[tuple[str, str]]:
    """Yield nothing; raise Fatal for an environment that is not finite. See `Algorithm.check`."""
    Counted(make("features"))
    yield from ()


class Seen(NamedTuple):
    """One recorded episode."""

    states: Int
    """[steps + 1]"""
    actions: Int
    """[steps]"""
    rewards: F64
    """[steps]"""
    terminated: bool

    def rows(self) -> F64:
        """Return step, state, action, reward, next state and whether it ended the episode of each step [steps, 6]."""
        count = len(self.actions)
        ends = np.arange(1, count + 1) == count if self.terminated else np.zeros(count)
        columns = (np.arange(count), self.states[:-1], self.actions, self.rewards, self.states[1:], ends)
        return np.stack(columns, axis=1).astype(np.float64)


class Counted:
    """Recorded transitions by step, read once."""

    def __init__(self, env: Environment) -> None:
        """Take the sizes of the environment. Raises Fatal for one that is not finite."""
        seen, chosen = env.spaces.observation_space, env.spaces.action_space
        if not isinstance(seen, spaces.Discrete) or not isinstance(chosen, spaces.Discrete):
            raise Fatal(f"algorithm.name: pevi takes Discrete states and actions, not {seen}, {chosen}. Choose cql.")
        self.states, self.actions = int(seen.n), int(chosen.n)
        self._first = int(seen.start), int(chosen.start)
        if self.states * self.actions > MOST_PAIRS:
            raise Fatal(f"env.id: {self.states * self.actions:,} pairs of state and action. At most {MOST_PAIRS:,}.")

    def see(self, episode: Episode) -> Seen:
        """Return what was recorded. Raises DamagedError for states and actions that do not fit."""
        seen, chosen = np.asarray(episode.observations), np.asarray(episode.actions)
        for name, found, size in (("states", seen, len(episode) + 1), ("actions", chosen, len(episode))):
            if found.dtype.kind not in "iu" or found.size != size:
                raise DamagedError(f"{episode.place}: its {name} are no whole numbers. Name its own environment.")
        states = seen.reshape(-1).astype(np.int64) - self._first[0]
        actions = chosen.reshape(-1).astype(np.int64) - self._first[1]
        for name, found, count in (("states", states, self.states), ("actions", actions, self.actions)):
            if found.min() < 0 or found.max() >= count:
                raise DamagedError(f"{episode.place}: its {name} are not below {count}. Name its own environment.")
        return Seen(states, actions, episode.rewards, episode.terminated)

    def by_step(self, episodes: Iterable[Seen], bounds: tuple[float, float]) -> list[Transitions]:
        """Return the transitions of every step, rewards mapped to 0 to 1.

        Where an episode ends early, no reward counts as 0 for each of the steps that are left: so 0 is within the
        bounds then. Raises Fatal for a state of several steps, and for rewards out of bounds.
        """
        table = np.concatenate([each.rows() for each in episodes])
        low, high = bounds
        if table[:, 3].min() < low or table[:, 3].max() > high:
            seen = f"{table[:, 3].min():g} to {table[:, 3].max():g}"
            raise Fatal(f"rewards: the data has {seen}, not {low:g} to {high:g}. Set both ends of rewards.")
        steps, states = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        self._check_steps(steps, states)
        found, last = [], int(steps.max())
        if (table[steps < last, 5] > 0).any():
            low, high = min(low, 0.0), max(high, 0.0)
        for h in range(last + 1):
            own = table[steps == h]
            # the features of a step are the states of that step alone
            phi = np.zeros((len(own), self.states * self.actions))
            phi[np.arange(len(own)), (own[:, 1] * self.actions + own[:, 2]).astype(np.int64)] = 1.0
            ended = np.where(own[:, 5] > 0, (last - h) * (0 - low) / (high - low), np.nan)
            found.append(Transitions(phi, (own[:, 3] - low) / (high - low), own[:, 4].astype(np.int64), ended))
        return found

    def _check_steps(self, steps: Int, states: Int) -> None:
        least, most = np.full(self.states, np.iinfo(np.int64).max), np.full(self.states, -1)
        np.minimum.at(least, states, steps)
        np.maximum.at(most, states, steps)
        several = np.flatnonzero(most > np.minimum(least, most))
        if len(several):
            state = int(several[0])
            raise Fatal(
                f"env.id: state {state} is seen at steps {least[state]} and {most[state]} of episodes, and pevi "
                "plans each step apart. Put the step into the state."
            )


class Learner(Trainer[list[Transitions]]):
    """Solves once."""

    state: ArrayState

    def __init__(self, process: Process, env: Environment) -> None:
        self._process, self._config, self._counted = process, PEVIConfig.recorded(process.config), Counted(env)
        size = (self._counted.states + 1) * self._counted.actions
        self.total_steps, self.state = 1, ArrayState({"parameters": np.zeros(size, dtype=np.float32)}, 1)
        self.policy = describe("pevi", env, process.env, {"kind": "stack", "hidden": [], "biased": True})
        self._weights = process.publisher("weights")

    def collect(self, waiting: Waiting) -> list[Transitions]:
        """Read the dataset."""
        config, low_high = self._config, (self._config.rewards[0], self._config.rewards[1])
        if not config.dataset:
            raise Fatal("dataset: none is named. Set spec.algorithm.config.dataset.")
        with closing(open_all(config.dataset, self._process.wiring.code)) as found:
            reading = Reading(found, (0, 1), self._process.rng, self._counted.see, config.skip_damaged)
            return self._counted.by_step(reading.one_pass(), low_high)

    def learn(self, data: list[Transitions]) -> Mapping[str, float]:
        """Solve, and make a table of the values: that of each state at its own step."""
        counted, config = self._counted, self._config
        pairs = counted.states * counted.actions
        features = np.eye(pairs).reshape(counted.states, counted.actions, pairs)
        found = solve(features, data, config.beta, config.ridge)
        table = np.zeros((counted.states + 1, counted.actions))
        for h, step in enumerate(data):
            own = np.unique(np.flatnonzero(step.features.any(axis=0)) // counted.actions)
            table[own] = found.values[h, own]
        self.state.arrays["parameters"][:] = table.ravel()
        self.state.steps, self.state.updates = sum(len(step.rewards) for step in data), 1
        return {"penalty_mean": float(found.penalties.mean()), "horizon": float(len(data))}

    def publish(self, version: Version) -> None:
        """Send the table once there is one."""
        if not self.state.done():
            return
        state, size = self.state, self._counted.states
        weights = Weights(
            version, state.arrays["parameters"].copy(), Standardizer.identity(size), state.steps, state.done()
        )
        weights.publish(self._weights)


def learner(process: Process) -> ExitCode:
    """Solve, publish, and end the run."""
    with closing(make_env(process.env, process.wiring.code)) as env:
        made = Learner(process, env)
    return train(process, made)


def evaluator(process: Process) -> None:
    """Evaluate the solution."""
    with closing(make_env(process.env, process.wiring.code, evaluating=True)) as env:
        config: Any = PEVIConfig.recorded(process.config)

        def load(message: Message) -> Act:
            table: Array = message.arrays["parameters"].reshape(env.spaces.observation + 1, -1)[:-1]
            return lambda features: np.asarray(np.argmax(features @ table, axis=1))

        evaluate_on_clock(process, env, load, EVERY_SECONDS, config.evaluate_episodes)
