"""The compiled engine beside the numpy one: sizes, parts, what is not finite, and machines where numba fails."""

import subprocess
import sys
from logging import WARNING
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.models.optimizers import Adam
from surreal.algorithms.networks import Shape
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.ppo.gradients import make_gradient, passes
from surreal.algorithms.ppo.gradients.analytic import Analytic
from surreal.algorithms.ppo.gradients.base import Stats
from surreal.algorithms.ppo.gradients.compiled import LEAST_ROWS, Compiled
from surreal.algorithms.rollouts.trajectories import trajectories
from tests.algorithms.ppo.samples import (
    RATES,
    as_fragment,
    ppo,
    random_fragment,
    random_minibatch,
    random_shape,
    random_vector,
)


def both(shape: Shape, **settings: Any) -> tuple[Analytic, Compiled]:
    config, vector = ppo(**settings), random_vector(shape)
    return Analytic(shape, config, vector), Compiled(shape, config, vector)


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=3e-6)


@pytest.mark.parametrize("hidden", [(1,), (16,), (33, 5, 64), (64, 64)])
@pytest.mark.parametrize("rows", [2, 63, 64, LEAST_ROWS + 5])
def test_any_widths_and_numbers_of_rows_give_numpys_gradient(hidden: tuple[int, ...], rows: int) -> None:
    shape = Shape(Spaces.flat(17, 6, False), hidden)
    by_numpy, compiled = both(shape)
    minibatch = random_minibatch(shape, rows)
    close(compiled.differentiate(minibatch, 1.0, None), by_numpy.differentiate(minibatch, 1.0, None))
    close(compiled.values(minibatch.observations), by_numpy.values(minibatch.observations))
    close(compiled.estimates(minibatch.observations)[0], by_numpy.estimates(minibatch.observations)[0])


@pytest.mark.parametrize("masks", [False, True])
def test_choices_of_several_parts_give_numpys_gradient(masks: bool) -> None:
    shape = Shape(Spaces(spaces.Box(-1, 1, (5,), np.float32), spaces.MultiDiscrete([3, 2, 4])), (8,))
    by_numpy, compiled = both(shape, entropy_coef=0.02)
    rng, minibatch = np.random.default_rng(0), random_minibatch(shape, 30)
    parts = np.stack([rng.integers(0, n, 30) for n in (3, 2, 4)], axis=1)
    allowed = np.ones((30, 9), dtype=np.bool_)
    allowed[:, 8] = parts[:, 2] == 3
    minibatch = minibatch._replace(actions=parts, masks=allowed if masks else None)
    stats = Stats(), Stats()
    close(compiled.differentiate(minibatch, 1.0, stats[0]), by_numpy.differentiate(minibatch, 1.0, stats[1]))
    assert stats[0].means() == pytest.approx(stats[1].means(), rel=1e-4, abs=1e-6)


def test_the_same_steps_give_the_same_bits_again() -> None:
    shape = random_shape(False)
    results = []
    for _ in range(2):
        engine = Compiled(shape, ppo(), random_vector(shape))
        for seed in range(10):
            engine.step(random_minibatch(shape, seed=seed), RATES, 1.0, None)
        results.append(engine.parameters().tobytes())
    assert results[0] == results[1]


def test_tanh_is_right_within_rounding_for_all_numbers() -> None:
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.logspace(-30, 0, 1000), [np.inf, -np.inf]])
    values = x.astype(np.float32)
    passes.tanh(values)
    np.testing.assert_allclose(values, np.tanh(x), rtol=6e-7, atol=0)
    assert (np.abs(values) <= 1).all()


def test_an_observation_that_is_not_finite_takes_no_step() -> None:
    shape = random_shape(True)
    engine = Compiled(shape, ppo(), random_vector(shape))
    before, minibatch = engine.parameters(), random_minibatch(shape)
    minibatch.observations[2, 1] = np.nan
    engine.step(minibatch, RATES, 1.0, None)
    assert engine.skipped() == 1
    assert (engine.parameters() == before).all()


def test_where_numba_fails_numpy_computes_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "surreal.algorithms.ppo.gradients.losses", None)
    monkeypatch.delattr("surreal.algorithms.ppo.gradients.losses", raising=False)
    shape = random_shape(False)
    with caplog.at_level(WARNING):
        by_numpy, compiled = both(shape)
        for engine in (by_numpy, compiled):
            engine.step(random_minibatch(shape), RATES, 1.0, None)
    assert (compiled.parameters() == by_numpy.parameters()).all()
    assert compiled.arrays()["moment1"].any()
    (line,) = [record.getMessage() for record in caplog.records]
    assert "so numpy computes the gradients" in line


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Compiled),
        ({"total_steps": 100_000}, Analytic),
        ({"total_steps": 1000, "numba": True}, Compiled),
        ({"numba": False}, Analytic),
    ],
)
def test_auto_compiles_where_the_run_is_long_enough(settings: dict[str, Any], kind: type) -> None:
    shape = random_shape(False)
    assert type(make_gradient(shape, ppo(**settings), random_vector(shape))) is kind


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("minibatch", [16, 25])
def test_an_epoch_in_one_call_takes_the_steps_of_its_minibatches_bit_for_bit(discrete: bool, minibatch: int) -> None:
    shape, config = random_shape(discrete), ppo(minibatch=minibatch, entropy_coef=0.01, value_clip=0.3)
    data = trajectories([as_fragment(random_fragment(1, discrete=discrete))], Standardizer.of(RunningMoments(5)), None)
    found = []
    for whole in (True, False):
        engine, stats, rng = Compiled(shape, config, random_vector(shape)), Stats(), np.random.default_rng(4)
        batch = engine.batch(data)
        batch.estimate(data.rewards, 0.5 * data.rewards)
        for _ in range(2):
            (Compiled if whole else Analytic).epoch(engine, batch, rng, RATES, 1.0, stats)
        found.append((engine.arrays(), stats.means(), stats.count, rng.random()))
    (arrays, means, *rest), (expected, expected_means, *expected_rest) = found
    assert all((arrays[name] == expected[name]).all() for name in expected)
    assert means == pytest.approx(expected_means, rel=1e-6, abs=1e-9)
    assert rest == expected_rest


def test_steps_of_an_epoch_that_are_not_finite_are_left_out_and_counted() -> None:
    shape = random_shape(True)
    data = trajectories([as_fragment(random_fragment(1, discrete=True))], Standardizer.of(RunningMoments(5)), None)
    engine = Compiled(shape, ppo(minibatch=16), random_vector(shape))
    batch = engine.batch(data)
    batch.estimate(data.rewards, data.rewards)
    batch.rows[3] = np.nan
    engine.epoch(batch, np.random.default_rng(0), RATES, 1.0, None)
    assert engine.skipped() == 1
    assert engine.arrays()["adam_steps"] == 3
    assert np.isfinite(engine.parameters()).all()


def test_a_checkpoint_that_comes_while_the_loops_compile_keeps_its_steps() -> None:
    adam = Adam(np.zeros(3, dtype=np.float32), None)

    def compiling(*_: Any) -> int:
        adam.load({"moment1": np.ones(3), "moment2": np.ones(3), "adam_steps": np.array([1000])})
        return 0

    assert adam.steps_by(compiling) == 0
    assert adam.arrays()["adam_steps"] == 1000


@pytest.mark.slow  # two processes that import numba, of which the first may compile
def test_another_process_takes_the_epoch_that_one_has_compiled() -> None:
    program = (
        "import numpy as np\n"
        "from surreal.algorithms.ppo.gradients import epochs\n"
        "from surreal.algorithms.ppo.gradients.compiled import Compiled\n"
        "from tests.algorithms.ppo.samples import ppo, random_shape, random_vector\n"
        "shape = random_shape(False)\n"
        "assert Compiled(shape, ppo(), random_vector(shape))._ready()\n"
        "print(sum(epochs.gaussian.stats.cache_hits.values()))\n"
    )
    found = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True) for _ in range(2)]
    assert found[1].stdout.strip() == "1", found[1].stderr
