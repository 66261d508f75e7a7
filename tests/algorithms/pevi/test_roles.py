"""`pevi` as a run: it learns the best arm of a dataset that hardly covers the others, and greedy does not."""

from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.datasets.writing.minari import DatasetWriter
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.exporting.record import play
from surreal.algorithms.pevi.config import PEVI
from surreal.algorithms.pevi.environments import Arms
from surreal.algorithms.pevi.linear import solve
from surreal.algorithms.pevi.roles import Counted, Seen
from surreal.algorithms.policies import load_policy
from surreal.algorithms.types import Array
from tests.algorithms.fabric import Run

ID = "surreal.algorithms.pevi.environments:Arms"


def recorded(folder: Path, n: int = 300) -> Path:
    """Record arm 0 in nine episodes of ten, every other arm in a few."""
    env, rng = Arms(), np.random.default_rng(0)
    made = Environment(env, "arms")
    arms = [0] * n + list(range(1, 20)) * 2
    with DatasetWriter(folder, "tests/arms-v0", env.observation_space, env.action_space) as writer:
        for number, arm in enumerate(arms):
            writer.add(play(made, lambda seen, rng: (np.int64(arm), 0.0), number, rng, "x"))  # noqa: B023
    return folder


@pytest.mark.parametrize(("beta", "best"), [(1.0, True), (0.0, False)])
def test_pessimism_keeps_to_the_arm_that_is_known(folder: Path, beta: float, best: bool) -> None:
    config = {"dataset": str(recorded(folder / "arms")), "beta": beta, "evaluate_episodes": 10}
    with Run(folder, config, 0, ID, algorithm=PEVI) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(120) == 0, run.log("learner-0")
        policy = load_policy(folder)
        assert (int(policy(np.eye(12, dtype=np.float32)[:1])[0]) == 0) is best
        assert run.rows("evaluator/0")[-1]["eval_return"] >= 0


def test_a_state_of_several_steps_and_an_environment_that_is_not_finite_are_refused(folder: Path) -> None:
    with Run(folder, {"dataset": "x"}, 0, "CartPole-v1", algorithm=PEVI) as run:
        assert run.start("learner").wait(120) == 3
        assert "pevi takes Discrete states and actions" in run.log("learner-0")


@pytest.mark.parametrize("bounds", [(-1.0, 0.0), (-1.0, -0.5), (-2.0, 3.0)])
def test_an_early_end_is_worth_no_reward_and_not_the_least(bounds: tuple[float, float]) -> None:
    """Action 0 of state 0 ends the episode at -1; action 1 costs 1 too, and another half or more in state 3."""
    counted = Counted(Environment(Arms(arms=2), ID))
    ends = Seen(np.array([0, 6]), np.array([0]), np.array([-1.0]), True)
    goes_on = Seen(np.array([0, 3, 6]), np.array([1, 0]), np.array([-1.0, -0.5]), True)
    data = counted.by_step([ends, goes_on] * 50, bounds)
    features = np.eye(24).reshape(12, 2, 24)
    found = solve(features, data, beta=0.0, ridge=1e-6)
    assert found.policy[0, 0] == 0
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    expected = [(-1.0 - low + 0 - low) / (high - low), (-1.0 - low - 0.5 - low) / (high - low)]
    np.testing.assert_allclose(found.values[0, 0], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("seen", "said"),
    [(np.zeros((2, 4)), "states are no whole numbers"), (np.array([0, 99]), "states are not below 12")],
)
def test_a_dataset_of_other_states_is_named(seen: Array, said: str) -> None:
    counted = Counted(Environment(Arms(), ID))
    episode = Episode("walks.hdf5: episode 3", seen, np.zeros(1, np.int64), np.ones(1), True, False)
    with pytest.raises(DamagedError, match=f"walks.hdf5: episode 3: its {said}"):
        counted.see(episode)
