"""Atari games by ale-py through presets: what a policy sees, what it learns from, what an evaluation counts."""

import numpy as np
import pytest

from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.make import make_env
from surreal.protocol.errors import Fatal
from tests.algorithms.environments.suites import play

pytest.importorskip("ale_py", reason="needs pip install 'surreal[atari]'")
pytest.importorskip("cv2", reason="needs pip install 'surreal[atari]'")


def game(preset: str = "atari", evaluating: bool = False, name: str = "Breakout", **options: object) -> Environment:
    settings = {"id": f"ALE/{name}-v5", "wrappers": [preset], "options": options}
    return make_env(settings, view="auto", evaluating=evaluating)


def test_the_preset_gives_four_grey_frames_of_bytes() -> None:
    env = game()
    leaf = env.spaces.leaves[""]
    assert (leaf.shape, leaf.dtype, env.spaces.stack) == ((4, 84, 84), np.dtype(np.uint8), 4)
    assert env.spaces.choices == (4,)
    seen, _, _ = play(env, 20)
    stacks = np.concatenate(seen)
    assert stacks.max() > 100 and (stacks[1:, :-1] == stacks[:-1, 1:]).all()


def test_a_life_is_an_episode_in_training_and_the_whole_game_in_an_evaluation() -> None:
    _, rewards, ends = play(game(), 400)
    whole_seen, whole, whole_ends = play(game(evaluating=True), 400)
    assert sum(terminated for terminated, _ in ends) > sum(terminated for terminated, _ in whole_ends) >= 1
    assert set(rewards) <= {0.0, 1.0}
    assert len(whole_seen) == 401 and whole.sum() >= 1


def test_rewards_are_signs_in_training_only() -> None:
    rewards = [play(game(name="SpaceInvaders", evaluating=which), 150)[1] for which in (False, True)]
    assert set(rewards[0]) == {0.0, 1.0}
    assert set(rewards[1]) > {0.0, 5.0}


def test_the_paper_s_protocol_is_sticky_and_has_all_actions() -> None:
    env = game("atari-paper")
    assert env.spaces.action == 18
    inner = env._env.unwrapped
    assert inner.ale.getFloat("repeat_action_probability") == pytest.approx(0.25)  # type: ignore[attr-defined]


def test_options_of_the_file_win_over_those_of_a_preset() -> None:
    env = game("atari-paper", full_action_space=False, repeat_action_probability=0.0)
    assert env.spaces.action == 4
    assert env._env.unwrapped.ale.getFloat("repeat_action_probability") == 0.0  # type: ignore[attr-defined]


def test_one_seed_is_one_game() -> None:
    one, other = (play(game("atari-paper"), 80) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one[0], other[0], strict=True))
    assert (one[1] == other[1]).all()


def test_without_a_preset_pixels_come_as_the_game_gives_them() -> None:
    env = make_env("ALE/Pong-v5", view="auto")
    assert env.spaces.leaves[""].shape == (210, 160, 3)
    with pytest.raises(Fatal, match="observes images: Box.*Choose a network for images .*or wrap"):
        make_env("ALE/Pong-v5", view="features")
