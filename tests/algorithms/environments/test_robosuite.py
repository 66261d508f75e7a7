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


def test_lift_seen_by_a_camera_has_upright_images_of_bytes_beside_its_state() -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    cameras = {"use_camera_obs": True, "camera_names": "agentview", "camera_heights": 32, "camera_widths": 48}
    env = make_env({"id": "robosuite/Lift", "options": {"horizon": 5, **cameras}}, view="auto")
    leaves = env.spaces.leaves
    assert leaves["agentview_image"].shape == (32, 48, 3) and leaves["agentview_image"].dtype == np.uint8
    assert leaves["robot0_proprio-state"].dtype == np.float32
    image = env.reset(0)["agentview_image"]
    # the table is in the lower half of an upright image, the wall behind it in the upper one
    inner = env._env.unwrapped
    rendered = inner.sim.render(camera_name="agentview", width=48, height=32)[::-1]  # type: ignore[attr-defined]
    assert np.abs(image.astype(int) - rendered).mean() < 8
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
