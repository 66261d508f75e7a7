"""The DeepMind control suite through the whole acting path (needs the dm_control extra)."""

import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from tests.algorithms.environments.suites import play

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_a_task_is_seen_as_features_or_parts_and_its_time_limit_truncates() -> None:
    pytest.importorskip("shimmy", reason="needs pip install 'surreal[dm_control]'")
    pytest.importorskip("dm_control", reason="needs pip install 'surreal[dm_control]'")
    env = make_env("dm_control/cheetah-run-v0")
    assert (env.spaces.observation, env.spaces.action) == (17, 6)
    seen, rewards, ends = play(env, 1000)
    assert np.isfinite(seen).all() and (rewards >= 0).all() and (rewards <= 1).all()
    assert ends == [(False, False)] * 999 + [(False, True)]
    parts = make_env("dm_control/cheetah-run-v0", view="parts")
    assert {name: leaf.shape for name, leaf in parts.spaces.leaves.items()} == {"position": (8,), "velocity": (9,)}
    env.close()
