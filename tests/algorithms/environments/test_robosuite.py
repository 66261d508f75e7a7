"""robosuite's Lift through the whole acting path (needs the robosuite extra)."""

from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def test_lift_runs_and_its_horizon_is_a_truncation() -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    env = make_env({"id": "robosuite/Lift", "options": {"horizon": 5}})
    rows = env.reset(0)[None]
    actions = env.actions(np.zeros((5, env.spaces.action), dtype=np.float32))
    flags = [env.step(action, rows, 0)[1:] for action in actions]
    assert flags == [(False, False)] * 4 + [(False, True)]
    env.close()


def test_lift_trains_for_a_few_fragments(tmp_path: Path) -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    from tests.algorithms.fabric import Run

    config = {"fragment_steps": 16, "minibatch": 32, "epochs": 2, "total_steps": 192, "evaluate_episodes": 1}
    with Run(tmp_path, config, env="robosuite/Lift", options={"horizon": 20}) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(600) == 0, run.log("learner-0") + run.log("actor-0")
        assert run.rows()[-1]["steps"] >= 192
        assert np.isfinite(run.rows()[-1]["policy_loss"])
