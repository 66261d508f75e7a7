"""Every key of an experiment file is explained by the model that checks it."""

import pytest

from surreal.orchestrator.experiment.explain import below, explain, markdown, reference
from surreal.protocol.errors import InvalidInput


def test_a_key_of_a_config_says_type_default_bounds_meaning_and_paper() -> None:
    (found,) = explain("spec.algorithm.config.gae_lambda")
    assert (found.algorithm, found.type, found.default, found.bounds) == ("ppo", "number", "0.95", ">= 0, <= 1")
    assert found.meaning == (
        "Lambda of generalized advantage estimation (Schulman et al. 2016); while the discount of `gamma: auto` is "
        "beyond 0.995, 1 - 0.4 x (1 - lambda)."
    )
    assert found.paper == "Schulman et al. 2016"


def test_a_key_that_several_algorithms_have_is_explained_for_each() -> None:
    found = {each.algorithm: each for each in explain("spec.algorithm.config.total_steps")}
    assert {"ppo", "sac", "es"} <= found.keys()
    assert [each.algorithm for each in explain("spec.algorithm.config.gamma", "sac")] == ["sac"]


def test_other_keys_are_explained_too() -> None:
    (copies,) = explain("spec.env.copies")
    assert (copies.type, copies.default, copies.bounds) == ("whole number", "8", ">= 1, <= 4096")
    (replicas,) = explain("spec.roles.actor.replicas")
    assert (replicas.default, replicas.required) == ("", False)
    assert (replicas.type, replicas.bounds) == ("whole number or {min, max}", ">= 1, <= 10000")
    (env,) = explain("spec.env")
    assert env.type == "mapping" and {"id", "copies", "options"} <= set(env.keys)
    (memory,) = explain("spec.algorithm.config.network.memory.kind", "ppo")
    assert memory.type == "one of lstm, gru"


def test_the_keys_below_one_are_those_inside_them_too() -> None:
    keys = {each.key: each for each in below(explain("spec")[0])}
    assert {"spec.env.id", "spec.env.copies", "spec.seed", "spec.algorithm.config"} <= keys.keys()
    assert "spec.algorithm.config.gamma" not in keys
    (config,) = explain("spec.algorithm.config", "ppo")
    ppo = {each.key.removeprefix("spec.algorithm.config."): each for each in below(config)}
    assert (ppo["gae_lambda"].default, ppo["network.memory.kind"].algorithm) == ("0.95", "ppo")


def test_keys_below_names_of_ones_own_are_those_of_any_name() -> None:
    keys = [each.key for each in below(explain("spec.roles")[0])]
    assert "spec.roles.NAME.replicas" in keys and len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("spec.algorithm.config.gae_lamda", "unknown key 'gae_lamda' .did you mean 'gae_lambda'"),
        ("spec.envs", "unknown key 'envs' .did you mean 'env'... Known: spec has env, "),
        ("spec.env.copies.x", "unknown key 'x'. Known: spec.env.copies has no keys"),
        ("seed", "unknown key 'seed' .did you mean 'spec.seed'... Known: the file has apiVersion"),
        ("env.copies", "unknown key 'env' .did you mean 'spec.env.copies'"),
        ("gamma", "unknown key 'gamma' .did you mean 'spec.algorithm.config.gamma'"),
        ("sped", "unknown key 'sped' .did you mean 'spec'... Known: the file has apiVersion"),
    ],
)
def test_a_key_that_does_not_exist_names_the_nearest(key: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        explain(key)
    with pytest.raises(InvalidInput, match="--algorithm: 'pppo' is not known .did you mean 'ppo'"):
        explain("spec.algorithm.config.gamma", "pppo")


def test_the_reference_has_every_key_and_none_is_without_a_meaning() -> None:
    parts = dict(reference())
    assert {"Experiment", "ppo", "sac"} <= parts.keys()
    silent = [each.key for keys in parts.values() for each in keys if not each.meaning]
    assert silent == []
    said = {each.key: each.meaning for each in parts["Experiment"]}
    assert said["spec.seed"].startswith("Seed of all random numbers")
    assert all(explain(key)[0].meaning for key in ("apiVersion", "kind", "metadata", "spec"))
    assert "| `gae_lambda` | number | `0.95` | >= 0, <= 1 | Lambda of generalized" in markdown()
