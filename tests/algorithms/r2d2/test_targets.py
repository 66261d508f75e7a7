"""Targets of R2D2: the scale and its inverse, n-step returns within a sequence, priorities."""

import numpy as np
import pytest
import torch

from surreal.algorithms.r2d2.targets import n_step_targets, priorities, rescale, unscale

GAMMA = 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scale_and_its_inverse_cancel_over_fourteen_orders_of_magnitude(dtype: torch.dtype) -> None:
    size = torch.logspace(-8, 6, 20_001, dtype=dtype)
    x = torch.cat([-size, torch.zeros(1, dtype=dtype), size])
    assert ((unscale(rescale(x)) - x).abs() <= 1e-6 * x.abs()).all()
    y = rescale(x)
    assert ((rescale(unscale(y)) - y).abs() <= 1e-6 * y.abs()).all()


def test_the_scale_and_its_inverse_are_those_of_the_paper() -> None:
    x = torch.tensor([-50.0, -3.0, 0.0, 0.5, 8.0, 1e4], dtype=torch.float64)
    e = 1e-3
    h = x.sign() * ((x.abs() + 1).sqrt() - 1) + e * x
    inverse = x.sign() * (((((1 + 4 * e * (x.abs() + 1 + e)).sqrt() - 1) / (2 * e)) ** 2) - 1)
    torch.testing.assert_close(rescale(x), h)
    torch.testing.assert_close(unscale(x), inverse)


def slow_target(
    rewards: list[float], ends: list[str], values: list[float], t: int, n: int, scaled: bool
) -> tuple[float, int]:
    """The target of row t, and the row that it ends in, step by step.

    `ends` says of each row: "" goes on, "terminated", or "final": no step, but what a cut episode ended in.
    """
    total, factor = 0.0, 1.0
    for k in range(t, t + n):
        if k == len(rewards) or ends[k] == "final":
            break
        total += factor * rewards[k]
        factor *= 0.0 if ends[k] == "terminated" else GAMMA
        t = k + 1
        if ends[k] == "terminated":
            break
    value = torch.tensor(values[t], dtype=torch.float64)
    found = total + factor * (unscale(value) if scaled else value)
    return float(rescale(found) if scaled else found), t


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("n", [1, 3, 5, 40])
def test_targets_are_those_of_a_walk_from_row_to_row(n: int, scaled: bool) -> None:
    rng = np.random.default_rng(n)
    batch, time = 30, 12
    ends = rng.choice(["", "", "", "", "terminated", "final"], (batch, time))
    rewards, values = rng.normal(size=(batch, time)), rng.normal(size=(batch, time + 1))
    discounts = np.where(ends == "terminated", 0.0, GAMMA)
    steps = ends != "final"
    found, rows = n_step_targets(
        torch.tensor(rewards), torch.tensor(discounts), torch.tensor(steps), torch.tensor(values), n, scaled
    )
    for i, t in zip(*np.nonzero(steps), strict=True):
        expected, row = slow_target(rewards[i].tolist(), ends[i].tolist(), values[i].tolist(), int(t), n, scaled)
        assert float(found[i, t]) == pytest.approx(expected, abs=1e-9)
        # where the episode terminated no value counts, whichever row it is of
        assert int(rows[i, t]) == row


def test_a_priority_is_nine_tenths_of_the_largest_error_and_a_tenth_of_the_mean_of_real_steps() -> None:
    errors = torch.tensor([[1.0, -3.0, 100.0], [0.0, 0.0, 2.0]])
    steps = torch.tensor([[True, True, False], [True, True, True]])
    np.testing.assert_allclose(priorities(errors, steps, 0.9).numpy(), [0.9 * 3 + 0.1 * 2, 0.9 * 2 + 0.1 * 2 / 3], 1e-6)
