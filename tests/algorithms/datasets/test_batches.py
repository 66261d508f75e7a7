"""Batches from datasets: every transition once, in another order, with its own successor; shards share the episodes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.datasets.batches import batches
from surreal.algorithms.datasets.episode import DamagedError
from surreal.algorithms.datasets.fragments import Fragments
from surreal.algorithms.datasets.index import INDEX_FILE
from surreal.algorithms.datasets.minari import MinariDataset
from surreal.algorithms.datasets.opening import open_all, open_dataset
from surreal.algorithms.environments.spaces import Spaces
from tests.algorithms.datasets.made import ACTION, OBSERVATION, episode, written


@pytest.mark.parametrize("window", [1, 20, 10_000])
def test_each_transition_comes_once_with_its_successor(tmp_path: Path, window: int) -> None:
    found = open_dataset(str(written(tmp_path / "x", count=9, steps=10)))
    seen = []
    for batch in batches(found, 7, np.random.default_rng(3), window):
        assert len(batch["rewards"]) == 7
        assert np.array_equal(batch["next_observations"], batch["observations"] + [0, 1, 0])
        last = batch["observations"][:, 1] + 1 == 10 + batch["observations"][:, 0]
        assert np.array_equal(batch["terminated"], last & (batch["observations"][:, 0] % 2 == 1))
        seen += batch["rewards"].tolist()
    total = sum(range(10, 19))
    assert len(seen) == len(set(seen)) == total // 7 * 7
    assert seen != sorted(seen)


def test_shards_have_every_episode_between_them(tmp_path: Path) -> None:
    found = open_all([str(written(tmp_path / "x", 5)), str(written(tmp_path / "y", 2))])
    rng = np.random.default_rng(0)
    parts = [[read().place for read in found.episodes(shard, 3, rng)] for shard in range(3)]
    assert len({place for part in parts for place in part}) == sum(map(len, parts)) == 7
    assert [len(found.lengths(shard, 3) or ()) for shard in range(3)] == [len(part) for part in parts]


def test_mapped_arrays_are_those_that_h5py_reads(tmp_path: Path) -> None:
    folder = written(tmp_path / "x")
    mapped = MinariDataset(str(folder))[1]
    copied = MinariDataset(str(shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)))
    assert copied._index is None  # the file was copied, which the index cannot tell from an edit
    through_pieces = copied[1]
    copied._opened._mapped = None  # as behind a URL
    for other in (through_pieces, copied[1]):
        assert np.array_equal(mapped.observations, other.observations)
        assert np.array_equal(mapped.actions, other.actions)
        assert np.array_equal(mapped.rewards, other.rewards)
        assert (mapped.terminated, mapped.seed) == (other.terminated, other.seed)
    assert not mapped.observations.flags.owndata
    assert not mapped.observations.flags.writeable


def test_an_index_that_points_out_of_the_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "x")
    path = folder / "data" / INDEX_FILE
    with np.load(path) as found:
        spoiled = {**dict(found), "observations": np.array([10**9] * 4)}
    np.savez(path, **spoiled)
    with pytest.raises(DamagedError, match="its observations lie outside of the file. Remove surreal_index.npz"):
        MinariDataset(str(folder))[0]


def test_a_dataset_behind_a_url_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "x")
    found = open_dataset(f"file://{folder}")
    assert np.array_equal(MinariDataset(str(folder))[2].observations, found[2].observations)  # type: ignore[index]
    found.close()


def test_fragments_are_as_a_policy_sees_and_acts() -> None:
    made = episode(2, steps=4, terminated=True)
    (fragment,) = Fragments(Spaces(OBSERVATION, ACTION)).of(made)
    assert fragment["observations"].shape == (5, 1, 3)
    assert fragment["observations"].dtype == np.float32
    assert fragment["actions"].tolist() == [[[0.5]]] * 4
    assert fragment["terminated"][:, 0].tolist() == [False, False, False, True]
    assert not fragment["truncated"].any()


def test_long_episodes_are_cut_into_pieces_without_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surreal.algorithms.datasets.fragments.PIECE", 3)
    pieces = list(Fragments(Spaces(OBSERVATION, ACTION)).of(episode(1, steps=7, terminated=True)))
    assert [len(piece["rewards"]) for piece in pieces] == [3, 3, 1]
    assert [bool(piece["terminated"].any()) for piece in pieces] == [False, False, True]
    assert pieces[0]["observations"][-1].tolist() == pieces[1]["observations"][0].tolist()
