"""Two-layer values: where a linear fit is no better than the mean, moments and refinement recover the teacher."""

from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.two_layer.networks import (
    Kind,
    TwoLayer,
    lift,
    linear,
    moments,
    normalised_error,
    recover,
    teacher,
)
from surreal.algorithms.two_layer.planning import choices, linear_fit, network_fit, plan, share_of_optimum


def errors(kind: Kind, n: int, seed: int) -> tuple[float, float, float]:
    """Return the normalised errors of the linear fit, the quadratic lift and the network, d = 10, k = 3."""
    rng = np.random.default_rng([seed, n])
    truth, x, fresh = teacher(kind, 10, 3, rng), rng.standard_normal((n, 10)), rng.standard_normal((4_000, 10))
    y = truth(x) + 0.5 * rng.standard_normal(n)
    fits = linear(x, y), lift(x, y), recover(kind, 3, x, y, rng)
    return tuple(normalised_error(each, truth, fresh) for each in fits)  # type: ignore[return-value]


def test_a_quadratic_teacher_is_recovered_where_a_linear_fit_is_no_better_than_the_mean() -> None:
    flat, _, network = errors("quadratic", 1_600, 1)
    assert flat >= 0.9
    assert network <= 0.05


def test_the_error_falls_with_the_number_of_samples() -> None:
    assert errors("quadratic", 1_600, 2)[2] < errors("quadratic", 200, 2)[2]


@pytest.mark.slow
def test_a_relu_teacher_is_recovered_where_a_linear_fit_is_not() -> None:
    flat, _, network = np.mean([errors("relu", 1_600, seed) for seed in range(3)], axis=0)
    assert network <= 0.06
    assert flat >= 0.2


def test_the_leading_eigenvectors_span_the_directions() -> None:
    rng = np.random.default_rng(0)
    truth, x = teacher("quadratic", 6, 2, rng), rng.standard_normal((40_000, 6))
    span = moments(x, truth(x), 2)
    assert np.linalg.svd(truth.directions @ span.T)[1].min() > 0.99


def test_a_network_computes_its_formula() -> None:
    made = TwoLayer("relu", np.array([[1.0, 0.0], [0.0, -2.0]]), np.array([3.0, 5.0]), 0.5)
    assert made(np.array([[2.0, 1.0], [-1.0, -1.0]])).tolist() == [6.5, 10.5]


@pytest.mark.slow
def test_planning_with_networks_finds_nearly_the_optimum_and_linear_planning_does_not() -> None:
    rng = np.random.default_rng(3)
    simulator = choices("quadratic", 10, 3, rng)
    values = plan(simulator, 2_000, network_fit("quadratic", 3), rng)
    assert share_of_optimum(simulator, values, rng) >= 0.95
    assert share_of_optimum(simulator, plan(simulator, 2_000, linear_fit, rng), rng) <= 0.8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_runs_and_shows_its_tables() -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    book = nbformat.read(Path(__file__).parents[3] / "examples" / "two-layer.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    shown = "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", []))
    assert shown.count("quadratic lift") == 2
    assert "two layers: 0.9" in shown or "two layers: 1.0" in shown
