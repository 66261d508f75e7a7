"""Keys of the zoo that mean another thing here: each is said with what is so instead, and the rest still loads."""

import re
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.zoo.translate import Translated, translate
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.local import local_pool
from tests.orchestrator.zoo.test_translate import loaded


def entry(folder: Path, algorithm: str, env: str, text: str) -> Translated:
    """The entry `text` of an environment in the file of an algorithm."""
    file = folder / f"{algorithm}.yml"
    file.write_text(f"{env}: {{{text}}}\n")
    return translate(file, env)


def said(found: Translated) -> dict[str, str]:
    """Key -> what is so instead."""
    return {each.key: each.why for each in found.untranslated}


@pytest.mark.parametrize(
    ("text", "key", "config"),
    [
        ("learning_rate: lin_1e-3", "learning_rate", {"learning_rate": 1e-3}),
        ("train_freq: [1, episode], gradient_steps: 10", "train_freq", {"updates_per_step": 1.0}),
        ("optimize_memory_usage: true", "optimize_memory_usage", {}),
        ("policy: MultiInputPolicy", "policy", {}),
        ("policy_kwargs: 'dict(activation_fn=nn.Tanh)'", "policy_kwargs.activation_fn", {}),
        ("policy_kwargs: 'dict(share_features_extractor=True)'", "policy_kwargs.share_features_extractor", {}),
        (
            "policy_kwargs: 'dict(net_arch=dict(pi=[32, 16], qf=[64]))'",
            "policy_kwargs.net_arch.qf",
            {"hidden": [32, 16]},
        ),
    ],
)
@pytest.mark.parametrize("algorithm", ["ddpg", "td3", "sac"])
def test_an_off_policy_key_without_a_counterpart_is_said(
    tmp_path: Path, algorithm: str, text: str, key: str, config: dict[str, Any]
) -> None:
    found = entry(tmp_path, algorithm, "Pendulum-v1", text)
    assert list(said(found)) == [key]
    spec = loaded(found, tmp_path)
    assert {name: spec.algorithm.config[name] for name in config} == config


def test_as_many_updates_as_steps_are_one_for_each(tmp_path: Path) -> None:
    found = entry(tmp_path, "ddpg", "Pendulum-v1", "n_envs: 4, train_freq: 8, gradient_steps: -1")
    assert loaded(found, tmp_path).algorithm.config["updates_per_step"] == 1.0 and said(found) == {}


def test_noise_of_a_kind_is_that_kind_for_every_actor(tmp_path: Path) -> None:
    config = loaded(
        entry(tmp_path, "ddpg", "Pendulum-v1", "noise_type: ornstein-uhlenbeck, noise_std: 0.5"), tmp_path
    ).algorithm.config
    assert (config["exploration"], config["noise"], config["noise_ladder"]) == ("ou", 0.5, 0.0)
    with pytest.raises(InvalidInput, match="noise_type: 'pink' is unknown. Known are normal and ornstein-uhlenbeck"):
        entry(tmp_path, "ddpg", "Pendulum-v1", "noise_type: pink")


def test_a_fixed_temperature_and_entropy_stay_what_they_are(tmp_path: Path) -> None:
    found = entry(tmp_path, "sac", "Pendulum-v1", "ent_coef: 0.05, target_entropy: -2")
    config = loaded(found, tmp_path).algorithm.config
    assert (config["learn_temperature"], config["temperature"], config["target_entropy"]) == (False, 0.05, -2.0)


def test_widths_that_are_no_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape("policy_kwargs.net_arch: 'small' is no list. Write [256, 256].")):
        entry(tmp_path, "sac", "Pendulum-v1", "policy_kwargs: 'dict(net_arch=\"small\")'")


def test_a_greedy_share_that_falls_is_said_with_the_one_that_stays(tmp_path: Path) -> None:
    found = entry(tmp_path, "dqn", "CartPole-v1", "exploration_fraction: 0.2, exploration_final_eps: 0.07")
    assert said(found) == {"exploration_fraction": "actors explore with 0.07 from the start"}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("learning_rate: lin_0.02", "learning_rate"),
        ("delta_std: lin_0.1", "delta_std"),
        ("policy: MlpPolicy, policy_kwargs: 'dict(net_arch=[16])'", "policy"),
        ("policy_kwargs: 'dict(squash_output=True)'", "policy_kwargs.squash_output"),
        ("zero_policy: false", "zero_policy"),
        ("n_eval_episodes: 4", "n_eval_episodes"),
        ("normalize: 'dict(norm_obs=True, norm_reward=True)'", "normalize.norm_reward"),
    ],
)
def test_a_key_of_random_search_without_a_counterpart_is_said(tmp_path: Path, text: str, key: str) -> None:
    found = entry(tmp_path, "ars", "Swimmer-v4", text)
    assert list(said(found)) == [key] and loaded(found, tmp_path).algorithm.name == "ars"


@pytest.mark.parametrize("algorithm", ["dqn", "ddpg", "td3", "sac", "ars"])
def test_a_policy_of_images_is_refused_where_the_algorithm_takes_vectors(tmp_path: Path, algorithm: str) -> None:
    text = (
        f"{tmp_path / algorithm}.yml: atari: policy: 'CnnPolicy' sees images, and {algorithm} of surreal takes "
        "observations that are one vector of numbers. Name ppo.yml or a2c.yml, or another --env."
    )
    file = tmp_path / f"{algorithm}.yml"
    file.write_text("atari: {policy: CnnPolicy, frame_stack: 4}\n")
    with pytest.raises(InvalidInput, match=f"^{re.escape(text)}$"):
        translate(file, "PongNoFrameskip-v4")


@pytest.mark.parametrize(
    ("algorithm", "text", "minibatch", "why"),
    [
        ("ppo", "n_steps: 8, batch_size: 256", 8, "a batch has 8 transitions, which are its one minibatch"),
        ("ppo", "n_steps: 8, n_envs: 4, batch_size: 32", 32, None),
        ("ppo", "n_steps: 8, n_envs: 2", 16, "a batch has 16 transitions, which are its one minibatch"),
        ("ppo_lstm", "n_steps: 8, batch_size: 256", 8, "a batch has 8 transitions, which are its one minibatch"),
        ("ppo_lstm", "n_steps: 96, batch_size: 32", 96, "a minibatch has one sequence of 96 steps at least"),
    ],
)
def test_a_minibatch_is_within_what_a_batch_has_and_its_change_is_said(
    tmp_path: Path, algorithm: str, text: str, minibatch: int, why: str | None
) -> None:
    found = entry(tmp_path, algorithm, "Pendulum-v1", text)
    assert said(found).get("batch_size") == why
    file = tmp_path / "experiment.yaml"
    file.write_text(found.text("ppo.yml"))
    experiment = load_experiment(file)
    assert experiment.spec.algorithm.config["minibatch"] == minibatch
    make_plan(experiment, [local_pool()])


def test_an_entry_that_no_plan_would_take_is_refused_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidInput, match=r"ppo.yml: Pendulum-v1.*config.minibatch: 64 leaves a last minibatch of one"
    ):
        entry(tmp_path, "ppo", "Pendulum-v1", "n_steps: 129, batch_size: 64")


ATARI = "stable_baselines3.common.atari_wrappers.AtariWrapper"


def wrappers(found: Translated) -> Any:
    """The wrappers of the written file, as plain data."""
    return found.data["spec"]["env"].get("wrappers", [])


def test_an_atari_wrapper_with_settings_of_its_own_becomes_its_parts(tmp_path: Path) -> None:
    text = f"env_wrapper: [{{{ATARI}: {{terminal_on_life_loss: false, screen_size: 64, odd: 1}}}}], frame_stack: 3"
    found = entry(tmp_path, "ppo", "ALE/Pong-v5", text)
    screen = {"atari_screen": {"size": 64, "skip": 4, "noops": 30}}
    assert wrappers(found) == [screen, "fire_reset", "clip_reward", {"stack": 3}]
    assert said(found) == {"env_wrapper.odd": "is unknown of AtariWrapper"}


def test_actions_that_repeat_come_before_the_screen(tmp_path: Path) -> None:
    text = f"env_wrapper: {{{ATARI}: {{action_repeat_probability: 0.25}}}}, frame_stack: 4"
    found = entry(tmp_path, "ppo", "ALE/Pong-v5", text)
    assert wrappers(found)[0] == {"sticky": 0.25} and wrappers(found)[-1] == {"stack": 4}


def test_wrappers_take_their_arguments_under_the_names_of_here(tmp_path: Path) -> None:
    grey = "gymnasium.wrappers.transform_observation.GrayscaleObservation: {keep_dim: true}"
    resize = "rl_zoo3.wrappers.YAMLCompatResizeObservation: {shape: [48, 64]}"
    skip = "rl_zoo3.wrappers.FrameSkip: {skip: 2, seed: 1}"
    found = entry(
        tmp_path, "ppo", "CarRacing-v3", f"env_wrapper: [{{{skip}}}, {{{resize}}}, {{{grey}}}], vec_env_wrapper: x"
    )
    assert wrappers(found) == [{"skip": {"steps": 2}}, {"resize": [48, 64]}, "grey"]
    assert said(found)["env_wrapper.seed"] == "has no counterpart of skip"
    assert "wrap single environments" in said(found)["vec_env_wrapper"]


def test_a_wrapper_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="env_wrapper: .* is no wrapper. Write the class"):
        entry(tmp_path, "ppo", "CartPole-v1", "env_wrapper: [{a: 1, b: 2}]")


def test_arguments_of_the_environment_are_its_options(tmp_path: Path) -> None:
    found = entry(tmp_path, "ppo", "Pendulum-v1", "env_kwargs: {g: 9.81}")
    assert found.data["spec"]["env"]["options"] == {"g": 9.81}
