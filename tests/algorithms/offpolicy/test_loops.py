"""The compiled loops beside numpy's: the same bits, and numpy alone where numba fails."""

import hashlib
import sys
from functools import partial
from logging import WARNING
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surreal.algorithms.offpolicy import compiled_loops, compiling
from surreal.algorithms.offpolicy.compiling import compiled
from surreal.algorithms.offpolicy.loops import CHUNK, NUMPY, LaneLoops, Loops
from surreal.algorithms.offpolicy.mlp import Gradients, Layout, Network, Tape, layers
from surreal.algorithms.offpolicy.updates import compiled_lanes, learned
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
    monkeypatch.setattr(learned, "SHARED_FROM", 0)
    for name, array in updated(case, 3, NUMPY).items():
        np.testing.assert_array_equal(array, alone[name])


LANES = ["ddpg", "td3", "sac"]


def interpreted(monkeypatch: pytest.MonkeyPatch) -> Loops:
    """The work of a lane as Python runs it, with passes by numpy, so that nothing is compiled."""

    def forward(sgemm: int, vector: Any, widths: Any, x: Any, hidden: Any, outputs: Any) -> None:
        tape = Tape()
        outputs[:] = Network(Layout(tuple(widths.tolist())), vector)(x, tape)
        hidden[:] = np.concatenate([each.reshape(-1) for each in tape.inputs[1:]])

    def backward(sgemm: int, vector: Any, widths: Any, x: Any, hidden: Any, d: Any, grads: Any, to_input: Any) -> None:
        layout, tape = Layout(tuple(widths.tolist())), Tape()
        tape.inputs = [x, *layers(hidden.copy(), len(x), layout.widths[1:-1])]
        places = Gradients(grads, layout.views(grads)) if len(grads) else None
        found = Network(layout, vector).backward(tape, d.copy(), places, to_input=bool(to_input.size))
        to_input[:] = found if to_input.size else to_input

    for name, loop in vars(compiled_lanes).copy().items():
        if hasattr(loop, "py_func"):
            monkeypatch.setattr(
                compiled_lanes, name, {"forward": forward, "backward": backward}.get(name, loop.py_func)
            )
    return NUMPY._replace(lanes=LaneLoops(*(partial(getattr(compiled_lanes, name), 0) for name in LaneLoops._fields)))


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize("case", LANES)
def test_the_work_of_a_lane_as_a_whole_is_that_of_its_parts(
    case: str, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = updated(case, lanes, interpreted(monkeypatch))
    for name, array in updated(case, lanes, NUMPY).items():
        np.testing.assert_allclose(whole[name], array, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(COMPILED.passes is None, reason="numpy has another BLAS here")
@pytest.mark.parametrize("lanes", [1, 2, 40])
@pytest.mark.parametrize("case", LANES)
def test_the_work_of_a_lane_compiles_to_what_python_makes_of_it(case: str, lanes: int) -> None:
    whole = updated(case, lanes, compiled(lanes=True))
    for name, array in updated(case, lanes, NUMPY).items():
        np.testing.assert_allclose(whole[name], array, rtol=1e-4, atol=1e-6)


def test_the_file_of_a_lanes_work_changes_with_that_of_the_passes() -> None:
    content = Path(compiled_loops.__file__).read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(compiled_lanes.LOOPS_DIGEST)
    assert len(compiled_lanes.LOOPS_DIGEST) == 12


def test_where_blas_has_another_name_numpy_computes_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "NAMES", ("sgemm_of_another_library",))
    loops = compiled()
    assert loops.passes is None
    assert loops.adam is COMPILED.adam


def test_where_numba_fails_numpy_computes_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "surreal.algorithms.offpolicy.compiled_loops", None)
    monkeypatch.delattr("surreal.algorithms.offpolicy.compiled_loops", raising=False)
    with caplog.at_level(WARNING):
        assert compiled() is NUMPY
    (line,) = [record.getMessage() for record in caplog.records]
    assert "so numpy computes all of it" in line
