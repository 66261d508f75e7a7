"""Perturbations by number: the same everywhere, spread evenly, and put together as the workers drew them."""

import subprocess
import sys

import numpy as np

from surreal.algorithms.es.noise import NoiseTable, episode_seeds, in_statistics


def test_another_process_finds_the_same_perturbations() -> None:
    program = (
        "import numpy as np; from surreal.algorithms.es.noise import *;"
        "n = NoiseTable(7, 100); print(n.checksum, *n.offsets(3, np.arange(5)), *episode_seeds(7, 3, np.arange(5)))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    noise, pairs = NoiseTable(7, 100), np.arange(5)
    assert [int(word) for word in other] == [noise.checksum, *noise.offsets(3, pairs), *episode_seeds(7, 3, pairs)]


def test_offsets_reach_all_of_the_table_and_never_beyond_it() -> None:
    noise = NoiseTable(1, 1000)
    offsets = noise.offsets(0, np.arange(100_000))
    assert offsets.min() >= 0
    assert all(len(noise.at(int(offset))) == 1000 for offset in (offsets.min(), offsets.max()))
    counts, _ = np.histogram(offsets, bins=10)
    assert counts.min() > 9_000
    assert len(np.unique(offsets)) > 97_000


def test_generations_and_seeds_draw_different_perturbations() -> None:
    pairs = np.arange(100)
    one = NoiseTable(1, 10)
    assert not np.intersect1d(one.offsets(0, pairs), one.offsets(1, pairs)).size
    assert not np.intersect1d(one.offsets(0, pairs), NoiseTable(2, 10).offsets(0, pairs)).size
    assert one.checksum != NoiseTable(2, 10).checksum


def test_the_reconstruction_is_the_sum_of_what_the_workers_added() -> None:
    noise, weights = NoiseTable(1, 50), np.random.default_rng(0).standard_normal(20)
    weights[3] = 0.0
    offsets = noise.offsets(0, np.arange(20))
    slow = sum(
        weight * noise.at(int(offset)).astype(np.float64) for offset, weight in zip(offsets, weights, strict=True)
    )
    np.testing.assert_allclose(noise.combine(offsets, weights), slow, atol=1e-5)


def test_about_the_given_share_of_the_pairs_is_in_the_statistics() -> None:
    pairs = np.arange(10_000)
    assert in_statistics(1, 0, pairs, 1.0).all()
    assert 800 < in_statistics(1, 0, pairs, 0.1).sum() < 1200


def test_pairs_beyond_32_bits_are_different_pairs() -> None:
    noise = NoiseTable(1, 10)
    assert noise.offsets(0, np.array([5])) != noise.offsets(0, np.array([5 + 2**40]))
