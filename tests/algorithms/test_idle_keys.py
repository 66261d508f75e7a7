"""Keys of built-in algorithms that have no effect beside others are warned of; defaults and examples have none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from surreal.algorithms.algorithm import ACTIONS, Algorithm
from surreal.algorithms.registry import BUILT_IN
from surreal.protocol.documents.effects import FACT, Only, idle_keys
from surreal.protocol.documents.models import validated
from surreal.protocol.documents.yaml import load_file

ROOT = Path(__file__).parents[2]
NETWORK = {"make": "own:net", "settings": {"width": 3}}


def idle(name: str, config: dict[str, Any], actions: str | None = None) -> dict[str, str]:
    found = idle_keys(BUILT_IN[name].config(**config), {ACTIONS: actions} if actions else None)
    return {".".join(map(str, path)): text for path, text in found}


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The config of an algorithm, and the models in it."""
    yield model
    for field in model.model_fields.values():
        if isinstance(default := field.get_default(call_default_factory=True), BaseModel):
            yield from models(type(default))


@pytest.mark.parametrize("algorithm", BUILT_IN.values(), ids=lambda each: each.name)
def test_conditions_are_of_keys_that_there_are_and_defaults_have_an_effect(algorithm: Algorithm) -> None:
    for model in models(algorithm.config):
        conditions: list[Only] = [each for base in model.__mro__ for each in vars(base).get("only", ())]
        for each in conditions:
            assert set(each.keys) <= set(model.model_fields)
            for key in each.where:
                assert key == ACTIONS if key.startswith(FACT) else key.split(".")[0] in model.model_fields
    assert not list(idle_keys(algorithm.config(), {ACTIONS: "choices"}))
    assert not list(idle_keys(algorithm.config(), {ACTIONS: "numbers"}))


@pytest.mark.parametrize(
    ("name", "config", "keys"),
    [
        ("ppo", {"inference_wait_ms": 5.0, "inference_batch": 4}, {"inference_wait_ms", "inference_batch"}),
        ("r2d2", {"inference_wait_ms": 5.0}, {"inference_wait_ms"}),
        ("impala", {"inference": "central", "inference_wait_ms": 5.0}, set()),
        ("ppo", {"gradients": "analytic", "compile": True, "device": "cuda"}, {"compile", "device"}),
        ("ppo", {"gradients": "analytic", "device": "cpu"}, set()),
        ("ppo", {"gradients": "autograd", "numba": True}, {"numba"}),
        (
            "ppo",
            {"objective": "adaptive-kl", "target_kl": 0.01, "clip": 0.3, "anneal_clip": True},
            {"clip", "anneal_clip"},
        ),
        ("ppo", {"network": NETWORK, "hidden": [8]}, {"hidden"}),
        ("ppo", {"network": {"policy": [4]}, "hidden": [8]}, {"hidden"}),
        ("ppo", {"network": {"value": [4]}, "hidden": [8]}, set()),
        ("impala", {"network": {"memory": {}}, "hidden": [8]}, {"hidden"}),
        ("ppo", {"network": {**NETWORK, "trunk": [8]}}, {"network.trunk"}),
        ("ppo", {"network": {"settings": {"width": 3}}}, {"network.settings"}),
        ("impala", {"replay_ratio": 0.0, "replay_fragments": 8}, {"replay_fragments"}),
        ("td3", {"gradients": "analytic", "device": "cuda"}, {"device"}),
        ("sac", {"gradients": "autograd", "threads": 2}, {"threads"}),
        ("ddpg", {"ou_theta": 0.2, "noise": 0.0, "noise_ladder": 0.1}, {"ou_theta", "noise_ladder"}),
        ("td3", {"target_noise": 0.0, "target_clip": 1.0}, {"target_clip"}),
        ("sac", {"learn_temperature": False, "target_entropy": -1.0}, {"target_entropy"}),
        ("dqn", {"actor_every": 2, "actor_learning_rate": 1e-4}, {"actor_every", "actor_learning_rate"}),
        ("dqn", {"replay": {"importance_exponent": 0.5}}, {"replay.importance_exponent"}),
        ("dqn", {"replay": {"importance_exponent": 0.5, "priority_exponent": 0.6}}, set()),
        ("r2d2", {"network": None, "stored_state": False}, {"stored_state"}),
        ("es", {"momentum": 0.8, "cap_growth": 2.0, "statistics_share": 0.5}, {"momentum", "cap_growth"}),
        ("ars", {"max_staleness": 2}, {"max_staleness"}),
        ("crr", {"binary": True, "beta": 2.0}, {"beta"}),
        ("iql", {"device": "cuda", "threads": 2}, {"threads"}),
    ],
)
def test_a_key_without_an_effect_is_named(name: str, config: dict[str, Any], keys: set[str]) -> None:
    assert set(idle(name, config)) == keys


@pytest.mark.parametrize(
    ("name", "config", "actions", "keys"),
    [
        ("ppo", {"log_std_init": -1.0, "network": {"std": "state"}}, "choices", {"log_std_init", "network.std"}),
        ("ppo", {"log_std_init": -1.0, "network": {"std": "state"}}, "numbers", set()),
        ("cql", {"actions": 4, "critics": 3}, "choices", {"actions", "critics"}),
        ("cql", {"actions": 4, "critics": 3}, "numbers", set()),
    ],
)
def test_a_key_of_other_actions_is_named(name: str, config: dict[str, Any], actions: str, keys: set[str]) -> None:
    assert set(idle(name, config, actions)) == keys
    assert not idle(name, config)


def test_the_plan_warns_of_each() -> None:
    found = BUILT_IN["pevi"].sized(BUILT_IN["pevi"].config(), {}, {})
    assert found.warnings == ()
    sized = BUILT_IN["ppo"].sized(
        BUILT_IN["ppo"].config(inference_wait_ms=5.0), {"actor": 2, "learner": 1}, {"id": "CartPole-v1", "copies": 8}
    )
    assert sized.warnings == (
        "inference_wait_ms: 5 has no effect with inference: local. Leave it out, or set inference: central.",
    )


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_no_example_has_a_key_without_an_effect(path: Path) -> None:
    data, _ = load_file(path)
    given = data["spec"].get("algorithm", {}) if isinstance(data.get("spec"), dict) else {}
    if given.get("name") in BUILT_IN:
        config, problems = validated(BUILT_IN[given["name"]].config, given.get("config", {}))
        assert config and not problems
        assert not list(idle_keys(config))
