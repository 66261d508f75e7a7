"""The compiled loops beside numpy's: the same bits, and numpy alone where numba fails."""

import sys
from logging import WARNING
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.offpolicy import blas
from surreal.algorithms.offpolicy.loops import CHUNK, NUMPY, Loops, compiled
from surreal.algorithms.offpolicy.updates import analytic
from surreal.algorithms.offpolicy.updates.base import Rates
from tests.algorithms.offpolicy.cases import CASES, batch, engine

COMPILED = compiled()


def equal(call: Any, *shapes: Any) -> None:
    """Check that both ways of `call`(loops, arrays) leave the same bits in random arrays of these shapes."""
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for array in arrays:
        array.reshape(-1)[3:7] = np.nan, np.inf, 0.0, -0.0
    found = []
    for loops in (NUMPY, COMPILED):
        copies = [array.copy() for array in arrays]
        with np.errstate(invalid="ignore"):
            call(loops, copies)
        found.append(copies)
    for by_numpy, by_numba in zip(*found, strict=True):
        np.testing.assert_array_equal(by_numpy, by_numba)


def test_a_biased_relu_has_numpys_bits() -> None:
    equal(lambda loops, arrays: loops.biased_relu(*arrays), (33, 21), 21)


def test_the_way_back_through_a_relu_has_numpys_bits() -> None:
    def finite(loops: Loops, arrays: Any) -> None:
        d = np.nan_to_num(arrays[0], posinf=1.0)
        loops.through_relu(d, arrays[1], arrays[2])
        arrays[0][:] = d

    equal(finite, (33, 21), (33, 21), 21)


def test_a_slope_spread_over_a_layer_has_numpys_bits() -> None:
    def finite(loops: Loops, arrays: Any) -> None:
        slope, weight = (np.nan_to_num(array, posinf=1.0) for array in arrays[:2])
        loops.spread_through_relu(slope, weight, *arrays[2:])

    equal(finite, 33, 21, (33, 21), (33, 21), 21)


def test_adam_and_followers_have_numpys_bits() -> None:
    factors = [np.float32(x) for x in (0.9, 0.999, 1e-6, 3e-4)]
    size = CHUNK + 7

    def adam(loops: Loops, arrays: Any) -> None:
        np.abs(arrays[3], out=arrays[3])
        loops.adam(*arrays, *factors)

    equal(adam, size, size, size, size)
    equal(lambda loops, arrays: loops.follow(*arrays, np.float32(0.005)), size, size)


def updated(case: str, lanes: int, loops: Loops) -> dict[str, Any]:
    """Everything of an engine after five updates."""
    made = engine(case, lanes, loops=loops)
    for update in range(5):
        made.critic_step(batch(case, seed=update), 2e-3)
        if made.actor is not None:
            made.actor_step(batch(case, seed=update), Rates(1e-3, 2e-3, 1e-2))
        made.move_targets(0.05)
    return made.arrays()


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_updates_of_every_algorithm_have_numpys_bits(case: str, lanes: int) -> None:
    by_numba = updated(case, lanes, COMPILED._replace(passes=None))
    for name, array in updated(case, lanes, NUMPY).items():
        np.testing.assert_array_equal(by_numba[name], array)


@pytest.mark.skipif(COMPILED.passes is None, reason="numpy has another BLAS here")
@pytest.mark.parametrize("lanes", [1, 2, 40])
@pytest.mark.parametrize("case", CASES)
def test_passes_that_call_blas_round_as_numpy_does_but_for_single_rows(case: str, lanes: int) -> None:
    by_passes = updated(case, lanes, COMPILED)
    for name, array in updated(case, lanes, NUMPY).items():
        np.testing.assert_allclose(by_passes[name], array, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", ["td3", "sac"])
def test_lanes_that_share_the_optimizer_step_as_one_thread_does(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = updated(case, 3, NUMPY)
    monkeypatch.setattr(analytic, "SHARED_FROM", 0)
    for name, array in updated(case, 3, NUMPY).items():
        np.testing.assert_array_equal(array, alone[name])


def test_where_blas_has_another_name_numpy_computes_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "NAMES", ("sgemm_of_another_library",))
    loops = compiled()
    assert loops.passes is None
    assert loops.adam is COMPILED.adam


def test_where_numba_fails_numpy_computes_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "surreal.algorithms.offpolicy.compiled_loops", None)
    monkeypatch.delattr("surreal.algorithms.offpolicy.compiled_loops")
    with caplog.at_level(WARNING):
        assert compiled() is NUMPY
    (line,) = [record.getMessage() for record in caplog.records]
    assert "so numpy computes all of it" in line
