"""Masks: what an environment allows is all that a policy chooses, in acting, learning and evaluation."""

from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.distributions import choices_log_prob, masked
from surreal.algorithms.environments.environment import Environment
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.evaluation import episode_return
from surreal.algorithms.models import distributions as torch_distributions
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.rollouts.fragment import FragmentCheck
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal
from tests.algorithms.environments.own.parts import Shop


def fragment(steps: int = 50) -> tuple[Spaces, dict[str, Array]]:
    envs = VectorEnvironments(lambda: Environment(Shop(), "shop"), 2, 0)
    rollout = Rollout(envs, Policy(Shape(envs.spaces, (4,))), 2, steps, np.random.default_rng(0))
    arrays = rollout.collect(Standardizer.identity(2), lambda: False)
    assert arrays is not None
    return envs.spaces, arrays


def test_no_forbidden_choice_is_ever_taken_and_masks_travel_with_the_fragment() -> None:
    spaces, arrays = fragment()
    assert (arrays["rewards"] == 1.0).all()
    assert arrays["masks"].shape == (51, 2, 5)
    assert arrays["masks"][1, 0].tolist() == [True, True, False, True, False]
    taken = arrays["actions"]
    parts = np.split(arrays["masks"][:-1], [3], axis=-1)
    for part, mask in enumerate(parts):
        assert np.take_along_axis(mask, taken[..., part, None], axis=-1).all()
    assert FragmentCheck(spaces, 50, 2).problem(arrays) == ""


def test_without_masks_the_same_policy_is_punished() -> None:
    env = Environment(Shop(mask=None), "shop")
    assert env.reset(0) is not None and env.mask is None
    rewards = [env.step(np.array([1, 0]), np.zeros((1, 2), np.float32), 0)[0] for _ in range(5)]
    assert min(rewards) == -100.0


def test_log_probabilities_are_those_of_the_allowed_choices() -> None:
    _, arrays = fragment()
    allowed = [part.sum(-1) for part in np.split(arrays["masks"][:-1], [3], axis=-1)]
    expected = -np.log(allowed[0]) - np.log(allowed[1])  # a policy of zeros
    np.testing.assert_allclose(arrays["log_probs"], expected, rtol=1e-5)


def test_an_evaluation_takes_allowed_choices_only() -> None:
    env, policy = Environment(Shop(), "shop"), Policy(Shape(Spaces.flat(2, 5, True), (4,)))
    policy.choices = env.spaces.choices
    rng = np.random.default_rng(0)
    logits = rng.normal(size=5).astype(np.float32)
    assert episode_return(env, lambda rows: policy.best(masked(logits[None], env.mask)), 0, 100) == 7.0


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.ones(4), "has 4 flags, and an action has 5 choices (3 + 2). Give one flag for each choice"),
        ("yes", "is no array of flags"),
        (None, "gave none, though reset() did. Give one in the info of every step and reset"),
        (np.zeros(5), "allows no choice of part 0 of the action (all false). Allow one at least, or end the episode"),
        (np.array([1, 1, 1, 0, 0]), "allows no choice of part 1"),
    ],
)
def test_a_mask_that_cannot_be_used_ends_the_run_in_one_sentence(mask: Any, said: str) -> None:
    env = Environment(Shop(mask, when=1), "mine")
    env.reset(0)
    with pytest.raises(Fatal) as error:
        env.step(np.array([0, 1]), np.zeros((1, 2), np.float32), 0)
    assert f"environment 'mine': the action_mask of step() {said}" in str(error.value)


@pytest.mark.parametrize("last", [np.zeros(5), None], ids=["nothing", "none"])
def test_at_the_end_of_an_episode_no_mask_is_needed(last: Any) -> None:
    envs = VectorEnvironments(lambda: Environment(Shop(last, when=7), "shop"), 2, 0)
    rollout = Rollout(envs, Policy(Shape(envs.spaces, (4,))), 2, 20, np.random.default_rng(0))
    arrays = rollout.collect(Standardizer.identity(2), lambda: False)
    assert arrays is not None and (arrays["rewards"] == 1.0).all()
    assert FragmentCheck(envs.spaces, 20, 2).problem(arrays) == ""


def test_a_wrong_mask_at_the_first_reset_is_said_too() -> None:
    with pytest.raises(Fatal, match=r"the action_mask of reset\(\) has 3 flags"):
        Environment(Shop(np.ones(3)), "mine").reset(0)


def test_a_learner_refuses_masks_that_allow_nothing() -> None:
    spaces, arrays = fragment()
    arrays["masks"] = arrays["masks"].copy()
    arrays["masks"][3, 1, :3] = False
    assert FragmentCheck(spaces, 50, 2).problem(arrays) == "masks that allow no choice"


def test_torch_and_numpy_agree_on_choices_of_several_parts() -> None:
    rng, choices = np.random.default_rng(1), (3, 2, 4)
    logits = rng.normal(size=(20, 9)).astype(np.float32)
    mask = rng.random((20, 9)) < 0.5
    mask[:, [0, 3, 5]] = True
    actions = np.zeros((20, 3), np.int64)
    ours = choices_log_prob(masked(logits, mask), actions, choices)
    theirs, entropy = torch_distributions.categorical(
        torch_distributions.masked(torch.tensor(logits), torch.tensor(mask)), torch.tensor(actions), choices
    )
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-6)
    assert torch.isfinite(entropy).all() and (entropy >= 0).all()
