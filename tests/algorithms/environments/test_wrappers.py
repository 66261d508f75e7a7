"""Wrappers of the experiment file: what each does, which are refused, what an evaluation goes without."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.environments.make import check_wrappers, make_env
from surreal.algorithms.environments.wrappers import for_evaluation, problems
from surreal.algorithms.evaluation import play
from surreal.protocol.errors import Fatal, InvalidInput, SurrealError

FILM = "tests.algorithms.environments.own.parts:Film"
COLOURS = """
import gymnasium
import numpy as np

class Colours(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (40, 60, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.full((40, 60, 3), [200, 100, 50], np.uint8), {}

    def step(self, action):
        self.steps += 1
        return np.full((40, 60, 3), self.steps, np.uint8), 2.5 * self.steps, False, False, {}

class Brighter(gymnasium.ObservationWrapper):
    def __init__(self, env, by=1):
        super().__init__(env)
        self.by = by

    def observation(self, observation):
        return observation + np.uint8(self.by)

class Lacking(gymnasium.Wrapper):
    def __init__(self, env, how):
        super().__init__(env)
        if how == "exit":
            raise SystemExit(3)
        raise {"key": KeyError("x"), "value": ValueError("no x"), "empty": RuntimeError()}[how]

class Upper(gymnasium.ObservationWrapper):
    def observation(self, observation):
        return observation[:2]

class Late(gymnasium.Wrapper):
    def step(self, action):
        raise KeyError("y")

class Rewarded(gymnasium.RewardWrapper):
    def reward(self, reward):
        return "much"

class Deep(gymnasium.ObservationWrapper):
    observation_space = gymnasium.spaces.Text(3)
"""


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "paint.py").write_text(COLOURS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "paint:Colours"


def test_images_become_grey_small_and_stacked(colours: str) -> None:
    pytest.importorskip("cv2", reason="resize needs opencv: pip install 'surreal[atari]'")
    env = make_env({"id": colours, "wrappers": ["grey", {"resize": [20, 30]}, {"stack": 3}]}, view="auto")
    assert env.spaces.leaves[""].shape == (3, 20, 30)
    assert env.spaces.stack == 3
    first = env.reset(0)
    assert first.dtype == np.uint8 and (first == int(0.2125 * 200 + 0.7154 * 100 + 0.0721 * 50)).all()


def test_a_skip_adds_up_rewards_and_a_time_limit_truncates(colours: str) -> None:
    env = make_env({"id": colours, "wrappers": [{"skip": 4}, {"time_limit": 2}]}, view="parts")
    rows = env.reset(0)[None].copy()
    assert env.step(0, rows, 0) == (2.5 * (1 + 2 + 3 + 4), False, False)
    assert env.step(0, rows, 0) == (2.5 * (5 + 6 + 7 + 8), False, True)
    assert (rows == 8).all()


@pytest.mark.parametrize(("entry", "reward"), [("clip_reward", 1.0), ({"clip_reward": [-2, 2]}, 2.0)])
def test_rewards_are_clipped_to_their_sign_or_to_bounds_but_never_for_an_evaluation(
    colours: str, entry: Any, reward: float
) -> None:
    settings = {"id": colours, "wrappers": [entry]}
    env, evaluated = make_env(settings, view="parts"), make_env(settings, view="parts", evaluating=True)
    rows = env.reset(0)[None].copy()
    evaluated.reset(0)
    assert env.step(0, rows, 0)[0] == reward
    assert evaluated.step(0, rows, 0)[0] == 2.5


@pytest.mark.parametrize(
    ("wrappers", "told"),
    [
        ([], 2.5),
        (["clip_reward"], 1.0),
        ([{"clip_reward": [-1, 2]}], 2.0),
        ([{"clip_reward": {"high": 1.5}}, {"time_limit": 9}], 1.5),
    ],
    ids=str,
)
def test_a_policy_that_takes_in_rewards_is_told_those_of_its_training(
    colours: str, wrappers: list[Any], told: float
) -> None:
    env = make_env({"id": colours, "wrappers": wrappers}, view="parts", evaluating=True)
    rewards: list[float] = []
    play(env, lambda rows: 0, 0, 1, rewarded=rewards.append)
    assert rewards == [told]


def test_an_evaluation_may_have_other_options_and_wrappers(colours: str) -> None:
    settings = {
        "id": "CartPole-v1",
        "options": {"max_episode_steps": 5},
        "wrappers": [{"time_limit": 3}],
        "evaluation": {"options": {"max_episode_steps": 7}, "wrappers": []},
    }
    assert [make_env(settings, evaluating=which).time_limit for which in (False, True)] == [3, 7]


def test_sticky_actions_repeat_the_last_one() -> None:
    env = make_env({"id": "tests.algorithms.environments.own.parts:Robot", "wrappers": [{"sticky": 0.9}]}, view="parts")
    rows = {name: np.zeros((1, *leaf.shape), leaf.dtype) for name, leaf in env.spaces.leaves.items()}
    env.reset(1)
    for step in range(5):
        env.step(np.array([1 + step % 2, 0]), rows, 0)
    inner: Any = env._env.unwrapped
    taken = [action[0] for action in inner.taken]
    assert taken[0] == 1 and taken != [1, 2, 1, 2, 1]


def test_a_wrapper_of_ones_own_takes_its_arguments(colours: str) -> None:
    env = make_env({"id": colours, "wrappers": [{"paint:Brighter": {"by": 7}}]}, view="parts")
    assert env.reset(0)[0, 0].tolist() == [207, 107, 57]


def test_a_stack_below_a_wrapper_that_changes_observations_travels_whole(colours: str) -> None:
    below = make_env({"id": FILM, "wrappers": [{"stack": 4}, "paint:Brighter"]}, view="parts")
    above = make_env({"id": FILM, "wrappers": ["paint:Brighter", {"stack": 4}, "clip_reward"]}, view="parts")
    assert (below.spaces.stack, above.spaces.stack) == (1, 4)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("gray", "no wrapper 'gray' (did you mean 'grey'?). There are: grey, resize, "),
        ({"stack": 4, "grey": None}, "is no wrapper. Write a name, or one name with its arguments: {stack: 4}"),
        (3, "3: is no wrapper"),
        ({"stack": "four"}, "'stack' has frames: 'four', which is wrong: Input should be a valid integer. Correct it"),
        ({"stack": 1}, "'stack' has frames: 1, which is wrong"),
        (
            {"resize": 84},
            "'resize': missing a required argument: 'width'. Correct its arguments: it takes height",
        ),
        ({"sticky": {"chance": 0.5}}, "Correct its arguments: it takes"),
        ({"grey": 1}, "it takes none."),
        ({"atari": 1}, "'atari': is a preset and takes no arguments. Remove them, or list its wrappers"),
    ],
)
def test_an_entry_that_cannot_be_applied_is_refused_before_anything_starts(entry: Any, said: str) -> None:
    ((number, text),) = problems(["grey", entry])
    assert number == 1 and said in text


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MinAtar/Breakout-v1", "HalfCheetah-v5"])
def test_a_preset_on_an_environment_without_a_screen_is_refused(env_id: str) -> None:
    ((_, text),) = check_wrappers(env_id, ["atari"])
    assert text == f"'atari' is for Atari games, which {env_id!r} is not. Remove it, or name ALE/Pong-v5."


def test_a_wrapper_that_does_not_fit_the_environment_is_named() -> None:
    with pytest.raises(Fatal, match=r"env.wrappers: 'grey' does not fit what it wraps, which observes Box.*Remove it"):
        make_env({"id": "CartPole-v1", "wrappers": ["grey"]})
    with pytest.raises(Fatal, match="env.wrappers: 'episodic_life' does not fit .*: it is no Atari game"):
        make_env({"id": "CartPole-v1", "wrappers": ["episodic_life"]})


def test_what_a_preset_gives_an_environment_of_ones_own_is_said(colours: str) -> None:
    with pytest.raises(
        Fatal, match=r"cannot be made: .* \(a preset, which is for Atari games, gives it frameskip, repeat_"
    ):
        make_env({"id": colours, "wrappers": ["atari"]})


def test_a_wrapper_that_its_module_lacks_is_named(colours: str) -> None:
    with pytest.raises(Fatal, match="env.wrappers: 'paint:Brigther' names nothing in .*did you mean 'Brighter'"):
        make_env({"id": colours, "wrappers": ["paint:Brigther"]})


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("key", "KeyError: 'x'"),
        ("value", "no x"),
        ("empty", "RuntimeError"),
        ("exit", "its constructor ended the process: exit(3)"),
    ],
)
def test_what_a_wrapper_of_ones_own_raises_is_said_with_its_kind_unless_its_text_is_enough(
    colours: str, how: str, said: str
) -> None:
    entry = {"paint:Lacking": {"how": how}}
    with pytest.raises(Fatal) as error:
        make_env({"id": colours, "wrappers": [entry]}, view="parts")
    assert str(error.value).startswith(f"env.wrappers: {entry!r} does not fit what it wraps, which observes Box(")
    assert str(error.value).endswith(f"): {said}. Correct it, or put before it what makes it fit.")


def test_what_is_wrong_with_an_environment_in_wrappers_of_ones_own_is_said_with_their_names(colours: str) -> None:
    def made(*wrappers: Any) -> Any:
        return make_env({"id": colours, "wrappers": ["clip_reward", "paint:Brighter", *wrappers]}, view="parts")

    with pytest.raises(
        Fatal, match=r"^environment 'paint:Colours' wrapped in paint:Brighter, paint:Upper: reset\(\) returned an obs"
    ):
        made("paint:Upper").reset(0)
    for wrapper, said in [
        ("paint:Late", "paint:Late raised KeyError in step: 'y'"),
        ("paint:Rewarded", "paint:Rewarded: step() returned the reward 'much'"),
    ]:
        env = made(wrapper)
        rows = env.reset(0)[None].copy()
        with pytest.raises(SurrealError, match=re.escape(f"'paint:Colours' wrapped in paint:Brighter, {said}")):
            env.step(0, rows, 0)
    with pytest.raises(Fatal, match=r"wrapped in paint:Brighter, paint:Deep: has the observation space Text"):
        made("paint:Deep")


def test_presets_are_written_out_for_an_evaluation() -> None:
    assert for_evaluation(["atari"]) == ["atari_screen", "fire_reset", {"stack": 4}]


def test_the_experiment_file_names_line_and_key_of_a_wrong_wrapper(tmp_path: Path) -> None:
    from surreal.orchestrator.experiment.load import load_experiment

    file = tmp_path / "e.yaml"
    file.write_text(
        "apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {name: x}\nspec:\n"
        "  env:\n    id: CartPole-v1\n    wrappers:\n      - grey\n      - atari\n      - stak: 4\n"
        "  algorithm: {name: ppo}\n"
    )
    with pytest.raises(InvalidInput) as error:
        load_experiment(file)
    assert "e.yaml:9: spec.env.wrappers.1: 'atari' is for Atari games" in str(error.value)
    assert "e.yaml:10: spec.env.wrappers.2: no wrapper 'stak'" in str(error.value)
