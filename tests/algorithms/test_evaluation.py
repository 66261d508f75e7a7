"""An evaluation acts as an actor does without noise, ends, and stops when told."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.actions import onto_bounds
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.evaluation import episode_return, evaluate_on_clock
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.rollouts.rollout import Rollout
from tests.algorithms.environments.own.odd import Choices, Dose, Odd
from tests.algorithms.environments.vector_of import vector_of
from tests.algorithms.fabric import Run, wait_for

Array = np.ndarray[Any, Any]


class Recorded(Dose):
    """Keeps the actions it was given."""

    given: list[float]

    def step(self, action: Any) -> Any:
        self.given.append(float(action[0]))
        return super().step(action)


def test_choices_are_counted_from_the_first_one() -> None:
    assert episode_return(Environment(Choices(), "choices"), lambda _: np.array([1]), 0, 100) == 20.0


def test_actions_are_held_within_the_bounds() -> None:
    total = episode_return(Environment(Dose(), "dose"), lambda _: np.array([[7.0]], np.float32), 0, 100)
    assert total == pytest.approx(2.0)


def test_the_actions_are_those_of_an_actor_without_noise() -> None:
    first, second = Recorded(), Recorded()
    first.given, second.given = [], []
    shape = Shape(Environment(first, "dose").spaces, (4,))
    policy, parameters = Policy(shape), np.random.default_rng(3).standard_normal(shape.size).astype(np.float32)
    shape.views(parameters)["log_std"][:] = -30.0
    policy.load(parameters)
    adapted = Environment(first, "dose")
    spread = onto_bounds(adapted.spaces.action_space)
    episode_return(adapted, lambda features: spread(policy.best(policy.forward(features))), 0, 20)
    acting = Rollout(vector_of(Environment(second, "dose")), policy, 1, 20, np.random.default_rng(0))
    acting.collect(Standardizer.identity(3), lambda: False)
    assert first.given == second.given
    assert len(set(first.given)) == 1


def test_an_episode_that_never_ends_is_cut() -> None:
    assert episode_return(Environment(Odd(length=0), "odd"), lambda _: np.array([0]), 0, 123) == 123.0


@pytest.mark.parametrize("how", ["nan", "reward nan"])
def test_an_episode_with_numbers_that_are_none_has_no_return_and_says_so(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    total = episode_return(Environment(Odd(how, at=3), "odd"), lambda _: np.array([0]), 0, 123)
    assert total is not None and np.isnan(total)
    assert "environment 'odd': NaN or infinity at step 3 of an evaluation" in caplog.text


def test_an_episode_stops_when_it_is_told() -> None:
    stopping = threading.Event()

    def act(_: Array) -> Array:
        stopping.set()
        return np.array([0])

    assert episode_return(Environment(Odd(length=0), "odd"), act, 0, 10**9, stopping.is_set) is None


class FullStream:
    """A process whose stream of reports drops the first evaluation; it is asked to stop after the third."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.evaluations: list[dict[str, Array]] = []
        self._version = 0

    def subscriber(self, _: str) -> "FullStream":
        return self

    def sender(self, _: str) -> "FullStream":
        return self

    def wait(self, newer_than: Any) -> Any:
        self._version += 1
        return SimpleNamespace(version=(1, self._version), arrays={"w": np.ones(2)}, meta={"steps": 5, "final": False})

    def latest(self) -> None:
        return None

    def send(self, arrays: dict[str, Array], report: dict[str, Any]) -> bool:
        if "eval_return" in report:
            self.evaluations.append(arrays)
        if len(self.evaluations) == 3:
            self.stopping.set()
        return len(self.evaluations) != 1


def test_a_best_policy_that_the_stream_dropped_is_sent_again() -> None:
    process = FullStream()
    evaluate_on_clock(process, Environment(Choices(), "c"), lambda _: lambda _: np.array([1]), 0.0, 1)  # type: ignore[arg-type]
    assert [bool(arrays) for arrays in process.evaluations] == [True, True, False]


def test_a_run_in_an_endless_environment_is_evaluated_and_ends(folder: Path) -> None:
    config = {"fragment_steps": 32, "minibatch": 32, "epochs": 1, "total_steps": 2048, "hidden": [4]}
    config |= {"evaluation_episode_cap": 200, "evaluate_episodes": 2}
    with Run(folder, config, env="odd:Odd", options={"length": 0}) as run:
        # an evaluator that joins after the end has nothing to evaluate
        run.start("evaluator")
        run.start("learner")
        wait_for(lambda: run.rows("evaluator/0"))
        run.start("actor")
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        assert run.rows("evaluator/0")[-1]["eval_return"] == 200.0


def test_a_slow_evaluation_is_said_once_and_stops_at_once_when_told(folder: Path) -> None:
    config = {"fragment_steps": 32, "minibatch": 32, "epochs": 1, "total_steps": 10**9, "numba": False, "hidden": [4]}
    config |= {"evaluate_every_seconds": 0.01, "evaluation_episode_cap": 2_000, "evaluate_episodes": 2}
    with Run(folder, config, env="odd:Odd", options={"length": 0}) as run:
        run.start_all()
        wait_for(lambda: len(run.rows("evaluator/0")) > 2)
        wait_for(lambda: "longer than evaluate_every_seconds: 0.01" in run.log("evaluator-0"))
        evaluations = len(run.rows("evaluator/0"))
        wait_for(lambda: len(run.rows("evaluator/0")) > evaluations + 2)
        assert run.log("evaluator-0").count("longer than evaluate_every_seconds: 0.01") == 1
