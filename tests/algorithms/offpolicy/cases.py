"""Networks, settings and random batches of every algorithm, for tests of the engines."""

from typing import Any

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.offpolicy.loops import NUMPY, Loops
from surreal.algorithms.offpolicy.shape import Shape
from surreal.algorithms.offpolicy.updates.analytic import Analytic, Deterministic
from surreal.algorithms.offpolicy.updates.base import Batch, Settings
from surreal.algorithms.offpolicy.updates.soft import SoftCategorical, SoftGaussian
from surreal.algorithms.offpolicy.updates.values import Values, make_engine

BOX, CHOICES = Spaces.flat(5, 3, discrete=False), Spaces.flat(5, 4, discrete=True)
HIDDEN = (16, 12)
CASES: dict[str, tuple[type[Analytic], Shape, Settings]] = {
    "ddpg": (Deterministic, Shape("deterministic", BOX, HIDDEN, 1), Settings(target_actor=True)),
    "td3": (Deterministic, Shape("deterministic", BOX, HIDDEN, 2), Settings(target_actor=True)),
    "td3-norm": (Deterministic, Shape("deterministic", BOX, HIDDEN, 2, layer_norm=True), Settings(target_actor=True)),
    "sac": (SoftGaussian, Shape("gaussian", BOX, HIDDEN, 2), Settings(temperature=0.3, target_entropy=-3.0)),
    "sac-norm": (
        SoftGaussian,
        Shape("gaussian", BOX, HIDDEN, 3, layer_norm=True),
        Settings(temperature=0.3, target_entropy=-3.0, max_grad_norm=0.1),
    ),
    "sac-choices": (
        SoftCategorical,
        Shape("categorical", CHOICES, HIDDEN, 2),
        Settings(temperature=0.3, target_entropy=1.0),
    ),
    "dqn": (Values, Shape("values", CHOICES, HIDDEN, 1), Settings(huber=True, double=False)),
    "dqn-double": (Values, Shape("values", CHOICES, HIDDEN, 1), Settings(huber=True, max_grad_norm=10.0)),
    "dqn-dueling": (Values, Shape("values", CHOICES, HIDDEN, 1, dueling=True, layer_norm=True), Settings(huber=True)),
}


def engine(case: str, lanes: int = 1, seed: int = 0, loops: Loops = NUMPY) -> Analytic:
    """Return the engine of a case with random parameters, its followers apart from them."""
    _, shape, settings = CASES[case]
    made = make_engine(shape, settings, shape.initial(np.random.default_rng(seed)), lanes, loops)
    rng = np.random.default_rng(seed + 1)
    for learned in (made.critics, made.actor):
        if learned is not None:
            learned.vector += 0.1 * rng.standard_normal(len(learned.vector), dtype=np.float32)
    return made


def batch(case: str, size: int = 32, seed: int = 0) -> Batch:
    """Return random transitions; a quarter of them are terminal."""
    shape = CASES[case][1]
    rng = np.random.default_rng([seed, 7])

    def normal(*dimensions: int) -> Any:
        return rng.standard_normal(dimensions, dtype=np.float32)

    width = shape.spaces.action
    next_noise = normal(size, width)
    return Batch(
        observations=normal(size, 5),
        actions=rng.integers(width, size=size) if shape.spaces.discrete else np.tanh(normal(size, width)),
        rewards=3 * normal(size),
        discounts=np.where(rng.random(size) < 0.25, 0, 0.97).astype(np.float32),
        next_observations=normal(size, 5),
        weights=rng.uniform(0.2, 1.0, size).astype(np.float32),
        noise=normal(size, width),
        next_noise=np.clip(0.2 * next_noise, -0.5, 0.5) if shape.kind == "deterministic" else next_noise,
    )
