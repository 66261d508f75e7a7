"""Goal tasks of gymnasium-robotics through the whole acting path (needs the robotics extra)."""

import pytest

from surreal.algorithms.environments.make import make_env
from tests.algorithms.environments.suites import play

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_goal_task_has_its_goals_as_parts() -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs pip install 'surreal[robotics]'")
    env = make_env("gymnasium_robotics:FetchReach-v4", view="parts")
    shapes = {name: leaf.shape for name, leaf in env.spaces.leaves.items()}
    assert shapes == {"achieved_goal": (3,), "desired_goal": (3,), "observation": (10,)}
    seen, rewards, ends = play(env, 60)
    assert set(rewards) <= {-1.0, 0.0}
    assert ends[49] == (False, True)
    assert make_env("gymnasium_robotics:FetchReach-v4").spaces.observation == 16
    env.close()
