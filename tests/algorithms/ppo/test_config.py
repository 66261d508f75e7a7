"""The public defaults of PPO, pinned: changing one changes everybody's experiments."""

from typing import Any

import pytest
from pydantic import ValidationError

from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from tests.algorithms.gpu.device import unroll
from tests.algorithms.gpu.networks import layout_of


def test_ppos_defaults_are_these() -> None:
    assert PPOConfig().network.plain
    assert PPOConfig().model_dump(exclude={"network"}) == {
        "total_steps": 1_000_000,
        "stop_at_return": None,
        "return_window": 100,
        "fragment_steps": 128,
        "max_staleness": 1,
        "hidden": [64, 64],
        "sequence_steps": None,
        "log_std_init": -0.5,
        "learning_rate": 3e-4,
        "value_learning_rate": 1e-3,
        "value_step_inputs": 64,
        "anneal": True,
        "desired_kl": 0.02,
        "epochs": None,
        "minibatch": None,
        "gamma": "auto",
        "gae_lambda": 0.95,
        "recompute_advantages": False,
        "recompute_returns": True,
        "normalize_advantages": True,
        "objective": "clip",
        "clip": 0.2,
        "clip_from": "newest",
        "anneal_clip": False,
        "entropy_coef_final": None,
        "value_clip": None,
        "target_kl": None,
        "entropy_coef": None,
        "value_coef": 0.5,
        "max_grad_norm": 0.5,
        "normalize_observations": True,
        "normalize_rewards": True,
        "device": "auto",
        "gradients": "auto",
        "precision": "float32",
        "compile": False,
        "numba": None,
        "gather_patience": 5.0,
        "inference": "local",
        "inference_batch": None,
        "inference_wait_ms": 2.0,
        "evaluate_every_seconds": 10.0,
        "evaluate_episodes": 5,
        "evaluation_episode_cap": None,
    }


def test_a_recorded_config_keeps_what_was_before_keys_that_came_later() -> None:
    complete = PPOConfig().model_dump()
    assert PPOConfig.recorded(complete) == PPOConfig()
    earlier = {key: value for key, value in complete.items() if key not in PPOConfig.before}
    assert PPOConfig.recorded(earlier) == PPOConfig(**PPOConfig.before)
    assert PPOConfig(**earlier) == PPOConfig()


@pytest.mark.parametrize(
    ("kind", "epochs", "minibatch", "entropy"),
    [
        ("tanh-pair", 10, 64, 0.0),
        ("tanh-pair-choices", 10, 64, 0.01),
        ("lstm", 10, 64, 0.0),
        ("small-cnn", 4, 256, 0.01),
        ("nature-cnn", 4, 256, 0.01),
        ("parts", 4, 256, 0.0),
    ],
)
def test_what_is_left_open_is_decided_by_images_and_by_choices(
    kind: str, epochs: int, minibatch: int, entropy: float
) -> None:
    found = PPOConfig().of(layout_of(kind))
    assert (found.epochs, found.minibatch, found.entropy_coef) == (epochs, minibatch, entropy)
    said = PPOConfig(epochs=3, minibatch=32, entropy_coef=0.0).of(layout_of(kind))
    assert (said.epochs, said.minibatch, said.entropy_coef) == (3, 32, 0.0)
    assert said.of(layout_of("small-cnn")) is said


def test_a_decided_config_keeps_all_else_and_whether_it_compiles() -> None:
    given: dict[str, Any] = {"hidden": [8, 8], "gamma": 0.9, "network": {"trunk": [4]}, "entropy_coef_final": 0.1}
    config = PPOConfig(**given, total_steps=400_000)
    found = config.of(layout_of("small-cnn"))
    open_keys = ("epochs", "minibatch", "entropy_coef", "numba")
    assert config.model_dump(exclude=set(open_keys)) == found.model_dump(exclude=set(open_keys))
    assert found.compiles and found.numba


@pytest.mark.parametrize(("kind", "steps"), [("small-cnn", 300_000), ("tanh-pair", 300_000)])
def test_a_run_compiles_from_so_many_rows_on_whether_its_epochs_are_open_or_said(kind: str, steps: int) -> None:
    for total, compiled in ((steps, True), (steps - 1, False)):
        usual = PPOConfig(total_steps=total).of(layout_of(kind))
        said = PPOConfig(total_steps=total, epochs=usual.epochs).of(layout_of(kind))
        assert usual.compiles == said.compiles == compiled
    assert PPOConfig(total_steps=steps, numba=False).of(layout_of(kind)).numba is False


def test_an_update_of_images_passes_over_the_batch_as_often_as_the_config_decides() -> None:
    found = {}
    for kind in ("small-cnn", "tanh-pair-choices"):
        layout = layout_of(kind)
        updater = Updater(layout, PPOConfig(device="cpu", hidden=[8]), seed=1)
        found[kind] = (updater.update(unroll(layout), 0.0)["epochs"], updater.config.minibatch)
        assert updater.gradient.entropy_coef == 0.01
    assert found == {"small-cnn": (4, 256), "tanh-pair-choices": (10, 64)}


def test_the_adaptive_penalty_needs_its_target() -> None:
    with pytest.raises(ValidationError, match="'adaptive-kl' needs target_kl"):
        PPOConfig(objective="adaptive-kl")
    assert PPOConfig(objective="adaptive-kl", target_kl=0.015).target_kl == 0.015
