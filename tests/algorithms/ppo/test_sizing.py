"""Settings that are each allowed and together mean nothing are refused, at their key."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.models.config import MemoryConfig, NetworkConfig
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.sizing import sizing
from surreal.algorithms.registry import PPO, algorithm
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.pools.local import local_pool
from tests.orchestrator.documents import VALID, load_text


def problems(actors: int = 1, copies: int = 2, **config: Any) -> list[Any]:
    return list(sizing(PPOConfig(**config), {"actor": actors}, {"copies": copies}).problems)


def noted(note: str = "", **config: Any) -> list[str]:
    return list(sizing(PPOConfig(**config), {"actor": 1}, {"copies": 2, "network": note}).notes)


def test_a_minibatch_of_one_needs_advantages_as_they_are() -> None:
    (problem,) = problems(minibatch=1)
    assert problem == (
        "minibatch",
        "1 learns nothing with normalize_advantages: true. Set at least 2, or turn that off.",
    )
    assert problems(minibatch=1, normalize_advantages=False) == []


def test_a_minibatch_that_nobody_set_is_named_as_the_default() -> None:
    ((key, text),) = problems(copies=1, fragment_steps=65)
    assert key == "minibatch" and text.startswith("the default, here 64, leaves a last minibatch of one of 65")
    ((_, text),) = problems(copies=1, fragment_steps=1)
    assert text.startswith("the default, here 1, learns nothing")


@pytest.mark.parametrize(
    ("note", "gradients", "warned"),
    [("", "auto", False), ("", "autograd", False), ("an encoder resnet for images", "auto", True)],
)
def test_numba_is_said_to_have_no_effect_where_gradients_are_by_autograd(
    note: str, gradients: Any, warned: bool
) -> None:
    config = PPOConfig(numba=True, gradients=gradients)
    found = sizing(config, {"actor": 1}, {"copies": 2, "network": note}).warnings
    assert [text for text in found if "numba has no effect" in text] == list(found) and bool(found) == warned
    assert not sizing(PPOConfig(gradients=gradients), {"actor": 1}, {"copies": 2, "network": note}).warnings


def test_a_minibatch_above_the_batch_is_refused_with_the_batchs_size() -> None:
    ((key, text),) = problems(actors=3, fragment_steps=8, minibatch=64, normalize_advantages=False)
    assert key == "minibatch"
    assert text == "64 is more than a batch has (8 fragment_steps x 2 copies x 3 actors = 48). Set at most 48."
    assert problems(actors=4, fragment_steps=8, minibatch=64) == []


def test_a_minibatch_that_is_not_set_is_at_most_the_batch() -> None:
    assert problems(actors=3, fragment_steps=8) == []
    (note,) = (each for each in noted(fragment_steps=8) if "minibatches" in each)
    assert note.endswith("= 16 transitions, an update 10 x 1 minibatches of 16")


@pytest.mark.parametrize(
    ("network", "note", "words"),
    [
        (NetworkConfig(), "", "an update 10 x 4 minibatches of 64"),
        (NetworkConfig(), "network: two tanh networks of 64-64 units", "an update 10 x 4 minibatches of 64"),
        (NetworkConfig(), "network of images: a small convolutional network", "an update 4 x 1 minibatches of 256"),
        (NetworkConfig(encoder="small-cnn"), "", "an update 4 x 1 minibatches of 256"),
        (NetworkConfig(encoders={"camera": "nature-cnn"}), "", "an update 4 x 1 minibatches of 256"),
    ],
)
def test_a_plan_says_the_passes_over_images_where_it_knows_of_them(
    network: NetworkConfig, note: str, words: str
) -> None:
    assert any(each.endswith(words) for each in noted(note, network=network))


def test_a_rest_of_one_is_refused_and_what_is_advised_leaves_none() -> None:
    ((key, text),) = problems(copies=1, fragment_steps=129, minibatch=64)
    assert key == "minibatch" and "leaves a last minibatch of one of 129" in text
    advised = int(text.partition("Set ")[2].split()[0])
    assert problems(copies=1, fragment_steps=129, minibatch=advised) == []
    assert problems(copies=1, fragment_steps=129, minibatch=64, normalize_advantages=False) == []


@pytest.mark.parametrize("seed", range(50))
def test_advice_is_always_accepted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = {"fragment_steps": int(rng.integers(1, 80)), "minibatch": int(rng.integers(2, 90))}
    actors, copies = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    for _, text in problems(actors, copies, **config):
        advised = int(
            text.partition("Set ")[2].removeprefix("at most ").removeprefix("at least ").split()[0].strip(".")
        )
        if actors * copies * config["fragment_steps"] > 1:
            assert problems(actors, copies, **{**config, "minibatch": advised}) == []


def test_a_plan_says_the_step_size_of_the_value_where_it_has_one() -> None:
    def said(note: str = "", **config: Any) -> list[str]:
        found = sizing(PPOConfig(**config), {"actor": 1}, {"copies": 2, "network": note}).notes
        return [note for note in found if "value_learning_rate" in note or "value_step_inputs" in note]

    one = "the policy learns with a step size of 0.0001, the value with 0.001 (value_learning_rate)"
    two = f"{one}, less in layers of more than 64 inputs (value_step_inputs)"
    assert said(learning_rate=1e-4) == [two] and said(learning_rate=1e-4, value_step_inputs=None) == [one]
    assert said("network: policy 9, value 4", learning_rate=1e-4, network=NetworkConfig(activation="relu")) == [two]
    assert said(value_learning_rate=None) == said(learning_rate=1e-3) == []
    for network in (NetworkConfig(trunk=[4]), NetworkConfig(memory=MemoryConfig()), NetworkConfig(make="my:net")):
        assert said(network=network) == []
        both = said(network=network, value_learning_rate=2e-3, value_step_inputs=32)
        assert [note.partition(" has no effect")[0] for note in both] == ["value_learning_rate", "value_step_inputs"]
    assert said("network: encoder 9, policy 4") == []
    assert "has no effect" in said("network: encoder 9, policy 4", value_learning_rate=2e-3)[0]


def shared(learners: int, actors: int, **config: Any) -> Any:
    return sizing(PPOConfig(**config), {"learner": learners, "actor": actors}, {"copies": 2})


def test_learners_without_a_share_of_the_batch_are_refused() -> None:
    ((key, text),) = shared(3, 2).problems
    assert key == ("roles", "learner", "replicas")
    assert text == "3 learners cannot share the fragments of 2 actors. Set at most 2, or more actors."
    ((key, text),) = shared(3, 4, minibatch=2).problems
    assert key == ("roles", "learner", "replicas")
    assert text == "3 learners cannot share a minibatch of 2. Set at most that many."
    ((key, text),) = shared(2, 2, objective="adaptive-kl", target_kl=0.01).problems
    assert key == "objective" and text.endswith("each of 2 learners sees a part. Set clip, or one learner.")


def test_a_plan_says_how_learners_share_the_work() -> None:
    def note(learners: int, actors: int) -> str:
        return " ".join(note for note in shared(learners, actors).notes if "learners" in note)

    assert note(1, 4) == ""
    assert "each has the fragments of 2 of 4 actors, and about 32 of a minibatch's 64 rows" in note(2, 4)
    assert "each has the fragments of 1 or 2 of 3 actors" in note(2, 3)


def test_learners_that_cannot_share_are_refused_at_their_line(tmp_path: Path) -> None:
    experiment = load_text(tmp_path, VALID.replace("roles:\n", "roles:\n    learner: {replicas: 3}\n"))
    with pytest.raises(InvalidInput, match=r":13: spec.roles.learner.replicas: 3 learners cannot share the fragments"):
        make_plan(experiment, [local_pool()])


def test_the_plan_refuses_them_at_their_line_and_says_the_size_otherwise() -> None:
    def experiment(**config: Any) -> Experiment:
        spec = {"env": {"id": "CartPole-v1"}, "algorithm": {"name": "ppo", "config": config}}
        return Experiment.from_data(
            {"apiVersion": "surreal.dev/v1alpha1", "kind": "Experiment", "metadata": {"name": "x"}, "spec": spec}
        )

    with pytest.raises(InvalidInput, match=r"spec\.algorithm\.config\.minibatch: 5000 is more than a batch has"):
        make_plan(experiment(minibatch=5000), [local_pool()])
    notes = make_plan(experiment(), [local_pool()]).notes
    assert any("x 8 copies x 2 actors = 2,048 transitions" in note for note in notes)
    assert PPO.sizing is sizing


@pytest.mark.parametrize("name", ["ppo", "impala"])
@pytest.mark.parametrize("scaling", ["auto", "none"])
def test_a_plan_that_does_not_know_the_actions_says_what_holds_if_they_are_numbers(name: str, scaling: str) -> None:
    found = algorithm(name)
    assert found.sizing
    env = {"id": "CartPole-v1", "copies": 8, "action_scaling": scaling}
    notes = found.sizing(found.config(), {"learner": 1, "actor": 2}, env).notes
    (note,) = (note for note in notes if "env.actionScaling" in note)
    assert note.startswith("if actions are numbers, ") and f"actionScaling: {scaling}" in note
