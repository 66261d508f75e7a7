"""The compiled loops beside numpy's: the same bits, and numpy alone where numba fails."""

import sys
from logging import WARNING
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.offpolicy.loops import CHUNK, NUMPY, Loops, compiled
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


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_updates_of_every_algorithm_have_numpys_bits(case: str, lanes: int) -> None:
    engines = [engine(case, lanes, loops=loops) for loops in (NUMPY, COMPILED)]
    for update in range(5):
        for each in engines:
            each.critic_step(batch(case, seed=update), 2e-3)
            if each.actor is not None:
                each.actor_step(batch(case, seed=update), Rates(1e-3, 2e-3, 1e-2))
            each.move_targets(0.05)
    by_numpy, by_numba = (each.arrays() for each in engines)
    for name, array in by_numpy.items():
        np.testing.assert_array_equal(by_numba[name], array)


def test_where_numba_fails_numpy_computes_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "surreal.algorithms.offpolicy.compiled_loops", None)
    monkeypatch.delattr("surreal.algorithms.offpolicy.compiled_loops")
    with caplog.at_level(WARNING):
        assert compiled() is NUMPY
    (line,) = [record.getMessage() for record in caplog.records]
    assert "so numpy computes all of it" in line
