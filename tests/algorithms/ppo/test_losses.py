"""The losses against plain loops over the formulas, and the gradient by hand against autograd."""

from typing import Any

import numpy as np
import pytest
import torch

from surreal.algorithms.networks import Shape
from surreal.algorithms.ppo import loss
from surreal.algorithms.ppo.batch import Minibatch
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.autograd import Autograd
from surreal.algorithms.ppo.gradients.base import Rates, Stats
from surreal.algorithms.ppo.gradients.compiled import Compiled
from tests.algorithms.ppo.samples import as_tensors, random_minibatch, random_shape, random_vector

BY_HAND = [Analytic, Compiled]
ENGINES: list[Any] = [*BY_HAND, Autograd]
CONFIGS: list[dict[str, Any]] = [
    {},
    {"normalize_advantages": False},
    {"entropy_coef": 0.02},
    {"value_clip": 0.3},
    {"clip": 0.05, "value_coef": 1.3},
    {"objective": "adaptive-kl", "target_kl": 0.01},
    {"objective": "adaptive-kl", "target_kl": 10.0, "entropy_coef": 0.01},
]


def config(**changes: Any) -> PPOConfig:
    return PPOConfig(device="cpu", max_grad_norm=None, **changes)


def step(engine: Any, batch: Minibatch, rate: float, beta: float, stats: Stats | None) -> None:
    """One step on a minibatch where the engine computes; that of the values is twice as large."""
    engine.step(as_tensors(batch) if isinstance(engine, Autograd) else batch, Rates(rate, 2 * rate), beta, stats)


def gradient_by_hand(kind: type[Analytic], shape: Shape, settings: PPOConfig, seed: int) -> Any:
    engine = kind(shape, settings, random_vector(shape))
    batch = random_minibatch(shape, seed=seed, reference=settings.objective == "adaptive-kl")
    step(engine, batch, 0.0, 0.7, Stats())
    assert engine.skipped() == 0
    return engine._grad


def autograd_gradient(shape: Shape, settings: PPOConfig, seed: int) -> Any:
    engine = Autograd(shape, settings, random_vector(shape))
    batch = random_minibatch(shape, seed=seed, reference=settings.objective == "adaptive-kl")
    engine.loss(as_tensors(batch), 0.7).total.backward()
    assert engine._vector.grad is not None
    return engine._vector.grad.numpy()


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("changes", CONFIGS, ids=str)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", BY_HAND)
def test_the_gradient_by_hand_is_autograds(
    kind: type[Analytic], discrete: bool, changes: dict[str, Any], seed: int
) -> None:
    shape, settings = random_shape(discrete), config(**changes)
    by_hand, automatic = gradient_by_hand(kind, shape, settings, seed), autograd_gradient(shape, settings, seed)
    np.testing.assert_allclose(by_hand, automatic, rtol=2e-3, atol=2e-5 * max(1.0, float(np.abs(automatic).max())))


@pytest.mark.parametrize("discrete", [False, True])
def test_both_engines_take_the_same_steps(discrete: bool) -> None:
    shape, settings = random_shape(discrete), PPOConfig(device="cpu", max_grad_norm=0.3)
    engines = [engine(shape, settings, random_vector(shape)) for engine in ENGINES]
    for seed in range(20):
        for engine in engines:
            step(engine, random_minibatch(shape, seed=seed), 1e-2, 1.0, None)
    for engine in engines[1:]:
        np.testing.assert_allclose(engines[0].parameters(), engine.parameters(), rtol=1e-2, atol=2e-4)


@pytest.mark.parametrize("discrete", [False, True])
def test_both_engines_report_the_same_numbers(discrete: bool) -> None:
    shape, reported = random_shape(discrete), []
    for engine in ENGINES:
        stats = Stats()
        step(engine(shape, config(), random_vector(shape)), random_minibatch(shape), 0.0, 1.0, stats)
        reported.append(stats.means())
    for other in reported[1:]:
        assert reported[0] == pytest.approx(other, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_that_is_not_finite_changes_nothing(engine: Any) -> None:
    shape = random_shape(False)
    learner = engine(shape, config(), random_vector(shape))
    before = learner.parameters()
    batch = random_minibatch(shape)
    batch.returns[3] = np.nan
    step(learner, batch, 1e-3, 1.0, None)
    assert learner.skipped() == 1
    assert (learner.parameters() == before).all()
    assert int(learner.arrays()["adam_steps"][0]) == 0


def test_the_clipped_surrogate_is_equation_7() -> None:
    rng = np.random.default_rng(0)
    ratio, advantages = np.exp(rng.normal(size=50) * 0.5), rng.normal(size=50)
    terms = []
    for r, a in zip(ratio, advantages, strict=True):
        clipped = min(max(r, 0.8), 1.2)
        terms.append(min(r * a, clipped * a))
    ours = loss.clipped_surrogate(torch.tensor(ratio), torch.tensor(advantages), 0.2)
    assert float(ours) == pytest.approx(-sum(terms) / 50)


def test_the_kl_penalty_has_its_hinge_beyond_twice_the_target() -> None:
    assert float(loss.kl_penalty(torch.tensor(0.01), 2.0, 0.01)) == pytest.approx(0.02)
    assert float(loss.kl_penalty(torch.tensor(0.05), 2.0, 0.01)) == pytest.approx(0.1 + 250 * 0.03**2)


def test_kl_of_gaussians_and_softmaxes_are_torchs() -> None:
    torch.manual_seed(0)
    m0, s0, m, s = (torch.randn(6, 3) for _ in range(4))
    normal, independent = torch.distributions.Normal, torch.distributions.Independent
    theirs = torch.distributions.kl_divergence(
        independent(normal(m0, s0.exp()), 1), independent(normal(m, s.exp()), 1)
    ).mean()
    assert float(loss.gaussian_kl(m0, s0, m, s)) == pytest.approx(float(theirs), rel=1e-4)
    choice = torch.distributions.Categorical
    theirs = torch.distributions.kl_divergence(choice(logits=m0), choice(logits=m)).mean()
    assert float(loss.categorical_kl(m0, m)) == pytest.approx(float(theirs), rel=1e-4)


def test_value_clipping_takes_the_larger_of_the_two_errors() -> None:
    values, returns, before = (torch.tensor(x) for x in ([2.0, 0.1], [0.0, 0.0], [0.0, 0.0]))
    assert float(loss.value_loss(values, returns, before, None)) == pytest.approx((4 + 0.01) / 2)
    far = torch.tensor([3.0, 3.0])
    clipped = (1.0 + 0.5 - 3.0) ** 2  # the move from 1 to 2 counts only as far as 1.5
    assert float(loss.value_loss(torch.tensor([2.0, 2.0]), far, torch.ones(2), 0.5)) == pytest.approx(clipped)


@pytest.mark.parametrize("engine", ENGINES)
def test_saving_and_loading_an_engine_continues_exactly(engine: Any) -> None:
    shape = random_shape(False)
    first = engine(shape, config(), random_vector(shape))
    for seed in range(5):
        step(first, random_minibatch(shape, seed=seed), 1e-2, 1.0, None)
    second = engine(shape, config(), random_vector(shape, seed=9))
    second.load({name: array.copy() for name, array in first.arrays().items()})
    for learner in (first, second):
        step(learner, random_minibatch(shape, seed=7), 1e-2, 1.0, None)
    assert (first.parameters() == second.parameters()).all()


def test_engines_can_take_over_from_each_other() -> None:
    shape = random_shape(True)
    by_hand, automatic = (e(shape, config(), random_vector(shape)) for e in (Analytic, Autograd))
    step(by_hand, random_minibatch(shape), 1e-2, 1.0, None)
    automatic.load(by_hand.arrays())
    for engine in (by_hand, automatic):
        step(engine, random_minibatch(shape, seed=1), 1e-2, 1.0, None)
    np.testing.assert_allclose(by_hand.parameters(), automatic.parameters(), rtol=1e-3, atol=1e-5)
