"""The public defaults of PPO, pinned: changing one changes everybody's experiments."""

import pytest
from pydantic import ValidationError

from surreal.algorithms.ppo.config import PPOConfig


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
        "anneal": True,
        "desired_kl": 0.02,
        "epochs": 10,
        "minibatch": 64,
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
        "entropy_coef": 0.0,
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


def test_the_adaptive_penalty_needs_its_target() -> None:
    with pytest.raises(ValidationError, match="'adaptive-kl' needs target_kl"):
        PPOConfig(objective="adaptive-kl")
    assert PPOConfig(objective="adaptive-kl", target_kl=0.015).target_kl == 0.015
