"""Graph of central inference: the roles that a file gets, sizes of batches, and what the plan says of them."""

from pathlib import Path
from typing import Any

import pytest

from surreal.algorithms.inference.graph import batch_size, group_sizes, notes, served, warnings
from surreal.algorithms.registry import IMPALA, PPO
from surreal.algorithms.rollouts.config import ActingConfig
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.experiment.load import load_experiment
from surreal.protocol.errors import InvalidInput

CENTRAL = ActingConfig(inference="central")
FOUR = {"actor": 4, "inference": 1}


def experiment(tmp_path: Path, config: str, roles: str = "{}") -> Experiment:
    path = tmp_path / "x.yaml"
    path.write_text(
        "apiVersion: surreal.dev/v1alpha1\nkind: Experiment\nmetadata: {name: x}\nspec:\n  env: {id: CartPole-v1}\n"
        f"  algorithm: {{name: ppo, config: {config}}}\n  roles: {roles}\n"
    )
    return load_experiment(path)


@pytest.mark.parametrize("algorithm", [PPO, IMPALA])
def test_central_inference_gives_the_weights_to_a_role_of_its_own_and_not_to_the_actors(algorithm: Any) -> None:
    for config in ({}, None, {"inference": "local"}, {"inference": 3}, {"inference": ["central"]}):
        assert algorithm.arranged(config) is algorithm
    central = algorithm.arranged({"inference": "central"})
    channels = {channel.name: channel for channel in central.channels}
    assert [role.name for role in central.roles] == ["learner", "actor", "evaluator", "inference"]
    assert channels["weights"].to == ("inference", "evaluator")
    assert channels["metrics"].frm == ("actor", "evaluator", "inference")
    assert (channels["inference"].frm, channels["inference"].to) == (("actor",), ("inference",))
    assert central.role("inference").accelerated


def test_a_file_has_the_role_inference_with_central_inference_only(tmp_path: Path) -> None:
    found = experiment(tmp_path, "{inference: central}", "{inference: {replicas: 2}}")
    assert found.spec.roles["inference"].replicas == 2
    assert "inference" not in experiment(tmp_path, "{}").spec.roles
    with pytest.raises(
        InvalidInput, match=r"unknown role 'inference'.*config\.inference: central has a role inference"
    ):
        experiment(tmp_path, "{}", "{inference: {replicas: 2}}")
    with pytest.raises(InvalidInput, match=r"spec\.algorithm\.config\.inference"):
        experiment(tmp_path, "{inference: centre}")
    with pytest.raises(InvalidInput, match="gsde holds its noise in an actor"):
        experiment(tmp_path, "{inference: central, network: {std: gsde}}")


def test_a_batch_is_one_group_of_every_actor_and_never_more_than_all_copies_of_a_replica() -> None:
    assert group_sizes(8) == [4, 4]
    assert group_sizes(5) == [3, 2]
    assert group_sizes(1) == [1]
    assert [served(5, 2, index) for index in range(2)] == [3, 2]
    assert batch_size(CENTRAL, actors=4, copies=8, replicas=1) == 16
    assert batch_size(CENTRAL, actors=4, copies=8, replicas=2) == 8
    assert batch_size(CENTRAL, actors=3, copies=1, replicas=1) == 3
    asked = ActingConfig(inference="central", inference_batch=1_000)
    assert batch_size(asked, actors=4, copies=8, replicas=1) == 32
    assert batch_size(asked, actors=1, copies=8, replicas=3, index=2) == 8


def test_the_plan_says_what_central_inference_is_and_warns_of_batches_that_never_fill() -> None:
    assert notes(ActingConfig(), {"actor": 4}, {"copies": 8}) == ()
    text = " ".join(notes(CENTRAL, FOUR, {"copies": 8}))
    assert "1 x inference answers 4 actors x 8 copies, 16 copies at once or what came within 2 ms" in text
    assert not list(warnings(CENTRAL, FOUR, {"copies": 8}))

    def warned(batch: int | None = None, copies: int = 8, **changes: int) -> str:
        config = ActingConfig(inference="central", inference_batch=batch)
        return " ".join(warnings(config, FOUR | changes, {"copies": copies}))

    assert "1000 is more than the 32 copies of a replica. It is taken as 32" in warned(1_000)
    assert "20 is more than half of the 32 copies" in warned(20)
    assert "leaves an actor idle" in warned(copies=1)
    assert "groups of two sizes" in warned(copies=5)
    assert "some replicas are never asked" in warned(inference=5)
    assert not list(warnings(ActingConfig(), {"actor": 4}, {"copies": 8}))
