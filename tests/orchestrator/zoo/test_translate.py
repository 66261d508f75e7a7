"""`surreal import zoo`: what people's tuned files say is said in an experiment file, and the rest is named."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.zoo.translate import Translated, translate
from surreal.orchestrator.zoo.values import literal, mapping, schedule, whole
from surreal.protocol.documents.yaml import load_foreign
from surreal.protocol.errors import InvalidInput

FILE = """
default: {n_timesteps: !!float 1e6, policy: MlpPolicy}
atari:
  env_wrapper: [stable_baselines3.common.atari_wrappers.AtariWrapper]
  frame_stack: 4
  policy: CnnPolicy
  n_envs: 8
  n_steps: 64
  batch_size: 128
  learning_rate: lin_1e-3
  clip_range: lin_0.3
  n_timesteps: !!float 1e5
  vf_coef: 0.25
Walker2d-v4: &walker
  normalize: true
  n_envs: 2
  n_timesteps: !!float 2e4
  policy: MlpPolicy
  n_steps: 100
  batch_size: 50
  gamma: 0.97
  gae_lambda: 0.9
  n_epochs: 3
  ent_coef: 0.001
  vf_coef: 0.6
  clip_range: 0.3
  max_grad_norm: 0.7
  learning_rate: !!float 1e-4
  policy_kwargs: "dict(log_std_init=-1.5, ortho_init=False,
                       activation_fn=nn.SiLU, net_arch=dict(pi=[32, 16], vf=[64]))"
Hopper-v3:
  <<: *walker
  normalize: "{'norm_obs': True, 'norm_reward': False}"
  policy_kwargs: "dict(net_arch=[48, 48])"
Pendulum-v1: {use_sde: true, sde_sample_freq: 2, policy_kwargs: "dict(log_std_init=-3, lr_power=2)", n_steps: 64}
CartPole-v1:
  env_wrapper:
    - rl_zoo3.wrappers.FrameSkip: {skip: 2}
    - gymnasium.wrappers.time_limit.TimeLimit: {max_episode_steps: 50}
    - some_package.wrappers.Odd: {by: 2}
  frame_stack: 3
  n_steps: 64
"""


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    file = tmp_path / "ppo.yml"
    file.write_text(FILE)
    return file


def loaded(translated: Translated, folder: Path) -> Any:
    """The spec of the written file, loaded as `surreal create` does."""
    file = folder / "experiment.yaml"
    file.write_text(translated.text("ppo.yml"))
    return load_experiment(file).spec


def test_every_key_of_a_tuned_entry_is_said(zoo: Path, tmp_path: Path) -> None:
    found = translate(zoo, "Walker2d-v4")
    assert found.untranslated == ()
    spec = loaded(found, tmp_path)
    config = spec.algorithm.config
    assert (spec.env.id, spec.env.copies, spec.env.action_scaling) == ("Walker2d-v4", 2, "none")
    assert spec.roles["actor"].replicas == 1
    expected = {
        "total_steps": 20_000,
        "fragment_steps": 100,
        "minibatch": 50,
        "epochs": 3,
        "gamma": 0.97,
        "gae_lambda": 0.9,
        "entropy_coef": 0.001,
        "value_coef": 0.6,
        "clip": 0.3,
        "max_grad_norm": 0.7,
        "learning_rate": 1e-4,
        "anneal": False,
        "log_std_init": -1.5,
        "normalize_observations": True,
        "normalize_rewards": True,
        "recompute_returns": False,
        "value_learning_rate": None,
        "desired_kl": None,
        "max_staleness": 0,
    }
    assert {key: config[key] for key in expected} == expected
    network = config["network"]
    assert (network["policy"], network["value"]) == ([32, 16], [64])
    assert (network["activation"], network["init"]) == ("silu", "default")


def test_what_the_file_leaves_out_is_stable_baselines_default(tmp_path: Path) -> None:
    file = tmp_path / "ppo.yml"
    file.write_text("CartPole-v1: {n_timesteps: 1000}\n")
    config = loaded(translate(file, "CartPole-v1"), tmp_path).algorithm.config
    assert (config["fragment_steps"], config["minibatch"], config["epochs"]) == (2048, 64, 10)
    assert (config["learning_rate"], config["anneal"], config["log_std_init"]) == (3e-4, False, 0.0)
    assert (config["normalize_observations"], config["normalize_rewards"]) == (False, False)


def test_games_take_the_entry_of_all_games_and_the_preset(zoo: Path, tmp_path: Path) -> None:
    for name in ("ALE/Pong-v5", "PongNoFrameskip-v4"):
        found = translate(zoo, name)
        spec = loaded(found, tmp_path)
        assert (found.entry, spec.env.id, spec.env.wrappers) == ("atari", "ALE/Pong-v5", ["atari"])
        config = spec.algorithm.config
        assert (config["anneal"], config["learning_rate"], config["value_coef"]) == (True, 1e-3, 0.25)
        assert (config["clip"], config["anneal_clip"]) == (0.3, True)
        assert config["network"]["encoder"] == "nature-cnn"


def test_a_version_that_gymnasium_has_no_more_is_replaced_and_said(zoo: Path, tmp_path: Path) -> None:
    found = translate(zoo, "Hopper-v3")
    spec = loaded(found, tmp_path)
    assert spec.env.id == "Hopper-v5"
    assert [str(each) for each in found.untranslated] == ["entry: Hopper-v3: is used for Hopper-v5"]
    assert (spec.algorithm.config["hidden"], spec.algorithm.config["normalize_rewards"]) == ([48, 48], False)
    assert translate(zoo, "Walker2d-v5").entry == "Walker2d-v4"


def test_what_cannot_be_said_is_named_with_what_is_so_instead(zoo: Path) -> None:
    found = translate(zoo, "Pendulum-v1")
    keys = [each.key for each in found.untranslated]
    assert keys == ["policy_kwargs.lr_power"]
    text = found.text("ppo.yml")
    assert "# Not translated:\n#   policy_kwargs.lr_power: 2: has no counterpart" in text


def test_noise_that_depends_on_the_state_and_an_entropy_that_falls_are_said(zoo: Path, tmp_path: Path) -> None:
    config = loaded(translate(zoo, "Pendulum-v1"), tmp_path).algorithm.config
    assert (config["network"]["std"], config["network"]["gsde_steps"], config["log_std_init"]) == ("gsde", 2, -3)
    file = tmp_path / "ppo.yml"
    file.write_text("Pendulum-v1: {use_sde: true, ent_coef: lin_0.01}\n")
    config = loaded(translate(file, "Pendulum-v1"), tmp_path).algorithm.config
    assert (config["network"]["gsde_steps"], config["entropy_coef"], config["entropy_coef_final"]) == (None, 0.01, 0.0)


def test_wrappers_become_wrappers(zoo: Path) -> None:
    found = translate(zoo, "CartPole-v1")
    assert found.data["spec"]["env"]["wrappers"] == [
        {"skip": {"steps": 2}},
        {"time_limit": {"steps": 50}},
        {"some_package.wrappers:Odd": {"by": 2}},
        {"stack": 3},
    ]
    ((key, _, why),) = found.untranslated
    assert key == "env_wrapper" and "workers need the package of some_package" in why


def test_an_environment_without_an_entry_gets_the_default_one(zoo: Path) -> None:
    found = translate(zoo, "Acrobot-v1")
    assert found.entry == "default"
    assert "has none of its own; these are the file's defaults" in str(found.untranslated[0])


def test_a2c_is_one_epoch_of_one_minibatch(tmp_path: Path) -> None:
    file = tmp_path / "a2c.yml"
    file.write_text("CartPole-v1: {n_envs: 8, n_steps: 16, ent_coef: 0.01}\n")
    config = loaded(translate(file, "CartPole-v1"), tmp_path).algorithm.config
    assert (config["fragment_steps"], config["minibatch"], config["epochs"]) == (16, 128, 1)
    assert (config["gae_lambda"], config["normalize_advantages"], config["learning_rate"]) == (1.0, False, 7e-4)


def test_a_memory_is_a_memory(tmp_path: Path) -> None:
    file = tmp_path / "ppo_lstm.yml"
    file.write_text('CartPole-v1: {n_steps: 64, policy_kwargs: "dict(lstm_hidden_size=32, enable_critic_lstm=True)"}\n')
    found = translate(file, "CartPole-v1")
    memory = loaded(found, tmp_path).algorithm.config["network"]["memory"]
    assert (memory["kind"], memory["size"]) == ("lstm", 32)
    assert [each.key for each in found.untranslated] == ["policy_kwargs.enable_critic_lstm"]


def test_random_search_keeps_its_directions(tmp_path: Path) -> None:
    file = tmp_path / "ars.yml"
    file.write_text(
        "Swimmer-v4:\n  {n_delta: 6, n_top: 3, delta_std: 0.1, learning_rate: 0.05, alive_bonus_offset: -1,"
        " normalize: 'dict(norm_obs=True, norm_reward=False)'}\n"
    )
    found = translate(file, "Swimmer-v4")
    config = loaded(found, tmp_path).algorithm.config
    assert (config["directions"], config["top"], config["sigma"], config["learning_rate"]) == (6, 3, 0.1, 0.05)
    assert (config["survival_bonus"], config["normalize_observations"]) == (1.0, "running")
    assert found.untranslated == ()


def test_off_policy_entries_say_replay_noise_and_how_often_is_learned(tmp_path: Path) -> None:
    common = "n_envs: 2, train_freq: 4, gradient_steps: 4, buffer_size: 5e4, learning_starts: 500, batch_size: 100"
    (tmp_path / "td3.yml").write_text(f"Pendulum-v1: {{{common}, noise_type: normal, noise_std: 0.2, tau: 0.01}}\n")
    (tmp_path / "sac.yml").write_text(f"Pendulum-v1: {{{common}, ent_coef: auto_0.1, use_sde: true}}\n")
    (tmp_path / "dqn.yml").write_text(f"CartPole-v1: {{{common}, target_update_interval: 8}}\n")
    td3 = loaded(translate(tmp_path / "td3.yml", "Pendulum-v1"), tmp_path).algorithm.config
    assert (td3["replay"]["capacity"], td3["replay"]["min_size"], td3["batch"]) == (50_000, 500, 100)
    assert (td3["updates_per_step"], td3["target_share"], td3["noise"], td3["noise_ladder"]) == (0.5, 0.01, 0.2, 0.0)
    assert td3["hidden"] == [400, 300]
    found = translate(tmp_path / "sac.yml", "Pendulum-v1")
    sac = loaded(found, tmp_path).algorithm.config
    assert (sac["temperature"], sac["learn_temperature"]) == (0.1, True)
    assert [each.key for each in found.untranslated] == ["use_sde"]
    dqn = loaded(translate(tmp_path / "dqn.yml", "CartPole-v1"), tmp_path).algorithm.config
    assert (dqn["target_every"], dqn["epsilon"], dqn["target_share"], dqn["hidden"]) == (4, 0.05, 1.0, [64, 64])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CartPole-v1: {learning_rate: fast}", "CartPole-v1: learning_rate: 'fast': is no number and no schedule"),
        ("CartPole-v1: {n_steps: 3.5}", "CartPole-v1: n_steps: 3.5: is no whole number"),
        ("CartPole-v1: {policy_kwargs: 'open(1)'}", "policy_kwargs: 'open(1)': cannot be read: open(1) is no plain"),
        ("CartPole-v1: {policy_kwargs: 'dict(a='}", "policy_kwargs: 'dict(a=': cannot be read"),
        ("CartPole-v1: 3", "is no mapping of names to settings. Name another file"),
        ("a: [", "is not YAML"),
        ("a: &a [*a]", "is no mapping of names"),
        ("Other-v0: {n_steps: 32}", "--env: 'CartPole-v1' has no entry in"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "ppo.yml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=re.escape(said)):
        translate(file, "CartPole-v1")


def test_aliases_that_repeat_without_end_are_refused(tmp_path: Path) -> None:
    layers = "\n".join(f"a{n}: &a{n} {{x: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 8))
    file = tmp_path / "ppo.yml"
    file.write_text("a0: &a0 {x: 1}\n" + layers)
    with pytest.raises(InvalidInput, match="has more than 10,000 values, aliases written out"):
        load_foreign(file)


def test_an_unknown_algorithm_lists_those_that_are_translated(zoo: Path) -> None:
    with pytest.raises(InvalidInput, match="--algorithm: 'ppp' is not translated .did you mean 'ppo'?"):
        translate(zoo, "CartPole-v1", "ppp")


def test_values_in_strings_are_read_and_never_run() -> None:
    assert literal("dict(a=-1, b=nn.ReLU, c=[1, 2.5], d=dict(pi=[8]))") == {
        "a": -1,
        "b": "nn.ReLU",
        "c": [1, 2.5],
        "d": {"pi": [8]},
    }
    assert mapping("{'norm_obs': False}") == {"norm_obs": False}
    assert (schedule("lin_3e-4").falls, whole("1e6")) == (True, 1_000_000)
    for text in ("__import__('os').system('x')", "dict(**a)", "[x for x in y]", "1 + 1", "dict(1)", "{**a}"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            mapping(text)


MUJOCO = "Ant|HalfCheetah|Hopper|Humanoid|HumanoidStandup|Inverted(Double)?Pendulum|Pusher|Reacher|Swimmer|Walker2d"
CLASSIC = "CartPole|Pendulum|Acrobot|MountainCar(Continuous)?"
TUNED = re.compile(rf"({MUJOCO}|{CLASSIC})-v\d|atari")


@pytest.mark.skipif("SURREAL_ZOO" not in os.environ, reason="SURREAL_ZOO names no folder of the zoo's hyperparameters")
@pytest.mark.parametrize("name", ["ppo", "ppo_lstm", "a2c", "ars", "td3", "ddpg", "sac", "dqn"])
def test_every_tuned_entry_of_the_real_files_translates(name: str, tmp_path: Path) -> None:
    file = Path(os.environ["SURREAL_ZOO"]) / f"{name}.yml"
    keys = [key for key in load_foreign(file) if TUNED.fullmatch(key)]
    assert len(keys) >= 4
    if name == "dqn":
        keys.remove("atari")
    for key in keys:
        loaded(translate(file, "ALE/Breakout-v5" if key == "atari" else key), tmp_path)
