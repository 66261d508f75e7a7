"""The device that these tests compute on, random data of any network, and what counts as equal there.

SURREAL_TEST_DEVICE=cpu runs them without a GPU, all but the device itself.
"""

import os
from typing import Any

# Tensor cores round factors to 10 bits, which is no fault. The libraries of the GPU read it when they are loaded.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")

import numpy as np
import pytest
import torch

from surreal.algorithms.environments.rows import mapped
from surreal.algorithms.networks import Layout
from surreal.algorithms.offpolicy.updates.base import Engine
from surreal.algorithms.rollouts.trajectories import Trajectories
from surreal.algorithms.types import Array
from tests.algorithms.models.samples import observed

DEVICE: Any = os.environ.get("SURREAL_TEST_DEVICE", "cuda")
NEEDS_GPU = [
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="torch sees no GPU here"),
    # a thread of autograd that has no context of CUDA yet gets one with these words
    pytest.mark.filterwarnings("ignore:Attempting to run cuBLAS"),
]
STEPS, COPIES, SEQUENCE = 24, 6, 8


def unroll(layout: Layout, seed: int = 0) -> Trajectories:
    """Random transitions for a network, with episodes that end in both ways, and ratios on both sides of 1."""
    rng, lead, discrete = np.random.default_rng([seed, 3]), (STEPS, COPIES), layout.spaces.discrete
    terminated = rng.random(lead) < 0.1
    truncated = (rng.random(lead) < 0.1) & ~terminated
    rows, cut = (STEPS + 1) * COPIES, int(truncated.sum())
    choices, width = layout.spaces.choices, layout.spaces.action
    actions = np.stack([rng.integers(0, each, lead) for each in choices], -1) if discrete else None
    start = -float(np.log(choices).sum()) if discrete else -0.62 * width
    return Trajectories(
        observations=mapped(lambda x: x.reshape(STEPS + 1, COPIES, *x.shape[1:]), observed(layout, rows, seed)),
        final=observed(layout, cut, seed + 1),
        actions=_actions(actions, rng, width),
        log_probs=(0.3 * rng.standard_normal(lead) + start).astype(np.float32),
        rewards=rng.standard_normal(lead).astype(np.float32),
        terminated=terminated,
        truncated=truncated,
        states=_states(layout, rng),
    )


def _actions(choices: Array | None, rng: np.random.Generator, width: int) -> Array:
    if choices is not None:
        return choices[..., 0] if choices.shape[-1] == 1 else choices
    return (0.7 * rng.standard_normal((STEPS, COPIES, width))).astype(np.float32)


def _states(layout: Layout, rng: np.random.Generator) -> Array | None:
    if not layout.state_size:
        return None
    return (0.3 * rng.standard_normal((STEPS // SEQUENCE, COPIES, layout.state_size))).astype(np.float32)


def apart(found: Array, expected: Array) -> float:
    """The size of the difference as a share of the size of what is expected."""
    size = max(float(np.linalg.norm(expected.astype(np.float64))), 1e-12)
    return float(np.linalg.norm(found.astype(np.float64) - expected)) / size


def assert_near(gpu: Engine, cpu: Engine) -> None:
    """Both engines have the same parameters and the same policy, but for what rounding adds up to in some updates."""
    expected = cpu.arrays()
    for name, array in gpu.arrays().items():
        assert np.abs(array - expected[name]).max() < 5e-4 * max(1.0, float(np.abs(expected[name]).max())), name
    assert np.abs(gpu.policy() - cpu.policy()).max() < 2e-4


def same_state(found: dict[str, Array], expected: dict[str, Array]) -> bool:
    """True if both have the same arrays, bit for bit."""
    return found.keys() == expected.keys() and all((found[name] == expected[name]).all() for name in expected)
