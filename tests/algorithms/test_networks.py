"""The numpy policy against torch's distributions and layers."""

import numpy as np
import pytest
import torch

from surreal.algorithms.distributions import categorical_log_prob, gaussian_log_prob
from surreal.algorithms.models.byhand.pair import CHUNK
from surreal.algorithms.networks import Policy, Shape, orthogonal
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.autograd import Autograd
from tests.algorithms.ppo.samples import random_shape, random_vector


@pytest.mark.parametrize("discrete", [False, True])
def test_the_acting_policy_and_both_engines_compute_the_same_outputs(discrete: bool) -> None:
    shape, config = random_shape(discrete), PPOConfig(device="cpu")
    vector = random_vector(shape)
    observations = np.random.default_rng(0).standard_normal((CHUNK + 5, 5)).astype(np.float32)
    policy = Policy(shape)
    policy.load(vector)
    analytic, autograd = Analytic(shape, config, vector), Autograd(shape, config, vector)
    np.testing.assert_allclose(policy.forward(observations), autograd.estimates(observations)[0], atol=1e-5)
    np.testing.assert_allclose(analytic.estimates(observations)[0], autograd.estimates(observations)[0], atol=1e-5)
    np.testing.assert_allclose(analytic.values(observations), autograd.values(observations), atol=1e-5)


def test_log_probabilities_are_torchs() -> None:
    rng = np.random.default_rng(1)
    mean, log_std = rng.normal(size=(4, 2, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    actions = rng.normal(size=(4, 2, 3)).astype(np.float32)
    normal = torch.distributions.Normal(torch.tensor(mean), torch.tensor(log_std).exp())
    theirs = normal.log_prob(torch.tensor(actions)).sum(-1).numpy()
    np.testing.assert_allclose(gaussian_log_prob(mean, log_std, actions), theirs, rtol=1e-4)
    choices = rng.integers(0, 3, (4, 2))
    categorical = torch.distributions.Categorical(logits=torch.tensor(mean))
    theirs = categorical.log_prob(torch.tensor(choices)).numpy()
    np.testing.assert_allclose(categorical_log_prob(mean, choices), theirs, rtol=1e-4, atol=1e-6)


def test_gumbel_noise_samples_the_softmax() -> None:
    shape = random_shape(discrete=True)
    policy = Policy(shape)
    logits = np.log(np.array([0.6, 0.3, 0.1], dtype=np.float32))
    noise = policy.noise(np.random.default_rng(0), (20_000, 3))
    shares = np.bincount(policy.act(np.broadcast_to(logits, noise.shape), noise), minlength=3) / 20_000
    np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.02)


def test_gaussian_noise_has_the_policys_standard_deviation() -> None:
    shape = random_shape(discrete=False)
    policy, vector = Policy(shape), np.zeros(shape.size, dtype=np.float32)
    shape.views(vector)["log_std"][:] = [-1.0, 0.0, 0.5]
    policy.load(vector)
    noise = policy.noise(np.random.default_rng(0), (50_000, 3))
    np.testing.assert_allclose(noise.std(axis=0), np.exp([-1.0, 0.0, 0.5]), rtol=0.02)


@pytest.mark.parametrize(("rows", "columns"), [(6, 3), (3, 6), (4, 4)])
def test_orthogonal_matrices_have_orthonormal_short_sides(rows: int, columns: int) -> None:
    matrix = orthogonal(np.random.default_rng(0), rows, columns)
    assert matrix.shape == (rows, columns)
    short = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(short, np.eye(min(rows, columns)), atol=1e-12)


def test_initial_parameters_follow_the_gains() -> None:
    shape: Shape = random_shape(discrete=False)
    parts = shape.views(shape.initial(np.random.default_rng(0), -0.7))
    assert np.linalg.norm(parts["policy.weight"], 2) == pytest.approx(0.01, rel=1e-4)
    assert np.linalg.norm(parts["value.weight"], 2) == pytest.approx(1.0, rel=1e-4)
    for network in parts["weight1"]:
        assert np.linalg.norm(network, 2) == pytest.approx(np.sqrt(2), rel=1e-4)
    assert parts["log_std"].tolist() == pytest.approx([-0.7] * 3)
    assert not parts["bias0"].any()


def test_views_share_the_vectors_memory_and_cover_it() -> None:
    shape = random_shape(discrete=True)
    vector = np.zeros(shape.size, dtype=np.float32)
    for view in shape.views(vector).values():
        view += 1
    assert (vector == 1).all()
