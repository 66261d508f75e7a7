"""robosuite's tasks through the whole acting path (all but a stand-in need the robosuite extra)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.suite_wrappers import SeedsGenerator
from tests.algorithms.environments.suites import play


def needs_robosuite(test: Any) -> Any:
    """Mark a test that steps the tasks themselves, which warn."""
    return pytest.mark.slow(pytest.mark.filterwarnings("default")(test))


class Drawn(gymnasium.Env[Any, Any]):
    """Draws as robosuite does: a size in hard resets only, a pose by a sampler that holds the generator, a name."""

    observation_space = gymnasium.spaces.Box(-1, 2, (3,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self) -> None:
        self.rng = self.sampler = np.random.default_rng()
        self.hard_reset, self.size = False, self.rng.random()
        self.names = ["bread", "can"]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        assert seed is None or (type(seed) is int and seed < 2**32)
        self.size = self.rng.random() if self.hard_reset else self.size
        self.chosen = self.rng.choice(self.names)
        return np.array([self.size, self.sampler.random(), self.rng.random()]), {}


def test_a_seeded_reset_repeats_every_draw_and_others_go_on_from_it() -> None:
    one, other = SeedsGenerator(Drawn()), SeedsGenerator(Drawn())
    other.unwrapped.names.reverse()  # type: ignore[attr-defined]
    seeds: list[Any] = [5, np.int64(5), 2**40]
    for seed in seeds:
        one.reset()
        rows, others = ([each.reset(seed=seed)[0], each.reset()[0], each.reset()[0]] for each in (one, other))
        assert np.array_equal(rows, others)
        assert one.unwrapped.chosen == other.unwrapped.chosen  # type: ignore[attr-defined]
        assert not np.array_equal(rows[1], rows[2])
    assert not np.array_equal(one.reset(seed=6)[0], one.reset(seed=6 + 2**32)[0])
    assert not one.unwrapped.hard_reset  # type: ignore[attr-defined]


def episodes(task: str, options: dict[str, Any], before: int = 0) -> bytes:
    """Observations of an episode of 200 steps from seed 5 and of 20 steps of the one after it."""
    env = make_env({"id": f"robosuite/{task}", "options": {"horizon": 200, **options}})
    if before:
        play(env, before, 6)
    seen, _, ends = play(env, 220, 5)
    env.close()
    assert ends.index((False, True)) == 199 and not np.array_equal(seen[0], seen[200])
    return b"".join(np.asarray(row).tobytes() for row in seen)


@needs_robosuite
@pytest.mark.parametrize("options", [{}, {"hard_reset": False}], ids=["hard", "soft"])
@pytest.mark.parametrize("task", ["Lift", "Stack", "Door", "NutAssemblySquare"])
def test_a_seed_begins_the_same_episode_whatever_was_played_before(task: str, options: dict[str, Any]) -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    assert episodes(task, options) == episodes(task, options, before=30)


@needs_robosuite
@pytest.mark.parametrize("task", ["NutAssemblySingle", "PickPlaceSingle"])
def test_a_seed_chooses_the_same_object_in_every_process(task: str) -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    code = f"""
from surreal.algorithms.environments.make import make_env
env = make_env("robosuite/{task}")
for seed in range(4):
    row = env.reset(seed)
    print(env.gymnasium.unwrapped.obj_to_use, row.tobytes().hex())
"""
    words = [sys.executable, "-c", code]
    # the order of a set of strings follows the seed of their hashes
    printed = [
        subprocess.check_output(words, env={**os.environ, "PYTHONHASHSEED": seed}, text=True, timeout=120)
        for seed in ("1", "2", "3")
    ]
    assert printed[0] == printed[1] == printed[2]
    assert len({line.split()[0] for line in printed[0].splitlines()}) > 1


@needs_robosuite
def test_lift_runs_and_its_horizon_is_a_truncation() -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    env = make_env({"id": "robosuite/Lift", "options": {"horizon": 5}})
    rows = env.reset(0)[None]
    actions = env.actions(np.zeros((5, env.spaces.action), dtype=np.float32))
    flags = [env.step(action, rows, 0)[1:] for action in actions]
    assert flags == [(False, False)] * 4 + [(False, True)]
    env.close()


@needs_robosuite
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


@needs_robosuite
def test_lift_trains_for_a_few_fragments(tmp_path: Path) -> None:
    pytest.importorskip("robosuite", reason="needs pip install 'surreal[robosuite]'")
    from tests.algorithms.fabric import Run

    config = {"fragment_steps": 16, "minibatch": 32, "epochs": 2, "total_steps": 192, "evaluate_episodes": 1}
    with Run(tmp_path, config, env="robosuite/Lift", options={"horizon": 20}) as run:
        run.start_all()
        assert run.workers["learner-0"].wait(600) == 0, run.log("learner-0") + run.log("actor-0")
        assert run.rows()[-1]["steps"] >= 192
        assert np.isfinite(run.rows()[-1]["policy_loss"])
