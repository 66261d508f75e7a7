"""Snapshots: a shard is as it was, whatever the ring did meanwhile, and what cannot be read is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surreal.algorithms.replay import snapshots as module
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.config import ReplayConfig, ReplaySettings
from surreal.algorithms.replay.snapshots import Snapshots
from surreal.algorithms.types import Array
from tests.algorithms.replay.fragments import fragment, message


def buffer(capacity: int = 200, n: int = 2, **replay: Any) -> ReplayBuffer:
    config = ReplayConfig(capacity=capacity, priority_exponent=0.7, **replay)
    return ReplayBuffer(ReplaySettings(config, n_step=n), np.random.default_rng(0))


def insert(made: ReplayBuffer, seqs: range, steps: int = 7) -> None:
    for seq in seqs:
        arrays = fragment(np.random.default_rng(seq), steps, 2, base=1000 * seq + 1)
        if made.settings.replay.sequence_length:
            arrays["states"] = arrays["observations"][:-1] * 3
        made.insert(message(arrays, seq))


def take(snapshots: Snapshots, made: ReplayBuffer, samples: int = 0) -> None:
    snapshots.take(made, {"samples": samples})
    snapshots.close(120)
    assert not snapshots.disk.errors, snapshots.disk.trouble


def contents(made: ReplayBuffer) -> dict[str, Array]:
    items = np.arange(made.ring.first_item, made.ring.next_item)
    out = {name: np.empty((len(items), *field.shape), field.dtype) for name, field in made.layout.items()}
    made.fill(items, out)
    return {**out, "priorities": made.sampler.priorities(made.ring.first_item, made.ring.next_item)}


def assert_equal(made: ReplayBuffer, other: ReplayBuffer) -> None:
    mine, theirs = contents(made), contents(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert (mine[name] == theirs[name]).all(), name
    assert (made.senders, made.steps, made.doubles) == (other.senders, other.steps, other.doubles)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=5),
    st.sampled_from([0, 3]),
    st.sampled_from([300, 10**9]),
    st.data(),
)
def test_a_restored_shard_is_the_one_that_was_saved(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[int], length: int, part: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("snapshots") / "replay"
    made, snapshots, seq = buffer(sequence_length=length), Snapshots(folder, 1.0), 0
    module.PART_BYTES, before = part, module.PART_BYTES
    try:
        for count in [3, *rounds]:
            insert(made, range(seq, seq + count))
            seq += count
            made.sampler.update(made.draw(8).items, np.random.default_rng(seq).random(8))
            take(snapshots, made, samples=seq)
            if data.draw(st.booleans()):
                made, snapshots = buffer(sequence_length=length), Snapshots(folder, 1.0)
                assert snapshots.restore(made) == {"samples": seq}
    finally:
        module.PART_BYTES = before
    restored = buffer(sequence_length=length)
    Snapshots(folder, 1.0).restore(restored)
    assert_equal(restored, made)


def test_parts_of_which_nothing_is_left_are_removed(tmp_path: Path) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    for round_ in range(30):
        insert(made, range(round_ * 4, round_ * 4 + 4))
        take(snapshots, made)
    # a full ring has 12 fragments of 16 rows and more
    assert len(list(tmp_path.glob("blocks-*"))) <= 6
    assert len(list(tmp_path.glob("index-*"))) == 2


def test_a_repetition_from_before_the_snapshot_is_dropped_after_it(tmp_path: Path) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    insert(made, range(3))
    take(snapshots, made)
    restored = buffer()
    Snapshots(tmp_path, 1.0).restore(restored)
    insert(restored, range(5))
    assert (restored.doubles, restored.items) == (3, 5 * 14)


def test_a_snapshot_fits_into_another_capacity_as_far_as_there_is_room(tmp_path: Path) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    insert(made, range(10))
    take(snapshots, made)
    smaller, larger = buffer(60), buffer(1000)
    Snapshots(tmp_path, 1.0).restore(smaller)
    Snapshots(tmp_path, 1.0).restore(larger)
    assert_equal(larger, made)
    newest = contents(made)["observations"][-smaller.items :]
    assert 0 < smaller.items < made.items
    assert (contents(smaller)["observations"] == newest).all()
    assert smaller.ring.live(smaller.draw(50).items).all()


def changed_index(folder: Path, change: dict[str, Any]) -> None:
    path = max(folder.glob("index-*")) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["state"] |= change
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 99}, "is of version 99, this surreal reads 1"),
        ({"settings": {"n_step": 5}}, "was made with n_step: 5, now it is 2"),
        ({"env": "Hopper-v5"}, "is of the environment 'Hopper-v5', now it is 'Walker2d-v5'"),
    ],
)
def test_a_snapshot_of_another_kind_is_put_aside_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any], said: str
) -> None:
    folder = tmp_path / "replay"
    made, snapshots = buffer(), Snapshots(folder, 1.0, "Walker2d-v5")
    insert(made, range(3))
    take(snapshots, made)
    changed_index(folder, change)
    fresh, again = buffer(), Snapshots(folder, 1.0, "Walker2d-v5")
    assert again.restore(fresh) == {}
    assert (fresh.items, again.lost) == (0, 1)
    assert said in caplog.text
    assert (tmp_path / "replay.refused").is_dir()
    insert(fresh, range(3))
    take(again, fresh)


def test_fragments_of_another_schema_than_the_snapshot_are_refused_in_words(tmp_path: Path) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    insert(made, range(3))
    take(snapshots, made)
    restored = buffer()
    Snapshots(tmp_path, 1.0).restore(restored)
    with pytest.raises(ValueError, match=r"'observations' is float32 \[9\], where others sent float32 \[3\]"):
        restored.insert(message(fragment(np.random.default_rng(0), 4, 2, width=9), 50))


@pytest.mark.parametrize("damage", ["blocks-*", "index-*"])
def test_a_damaged_file_costs_its_own_items_and_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    for first in (0, 3, 6):
        insert(made, range(first, first + 3))
        take(snapshots, made)
    damaged = min(tmp_path.glob(damage)) if damage == "blocks-*" else max(tmp_path.glob(damage))
    path = damaged / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    restored, again = buffer(), Snapshots(tmp_path, 1.0)
    again.restore(restored)
    assert "is damaged" in caplog.text
    assert again.lost == 1
    assert restored.items == 6 * 14
    expected, found = contents(made), contents(restored)
    kept = slice(3 * 14, None) if damage == "blocks-*" else slice(6 * 14)
    assert all((found[name] == expected[name][kept]).all() for name in found)
    # and it goes on from there
    insert(restored, range(9, 12))
    take(again, restored)
    last = buffer()
    Snapshots(tmp_path, 1.0).restore(last)
    assert_equal(last, restored)


def test_parts_whose_index_was_never_written_are_taken_for_nothing(tmp_path: Path) -> None:
    made, snapshots = buffer(), Snapshots(tmp_path, 1.0)
    insert(made, range(3))
    take(snapshots, made)
    insert(made, range(3, 5))
    take(snapshots, made)
    shutil.rmtree(max(tmp_path.glob("index-*")))  # as if it had died before
    restored, again = buffer(), Snapshots(tmp_path, 1.0)
    again.restore(restored)
    assert restored.items == 3 * 14
    insert(restored, range(3, 9))
    take(again, restored)
    last = buffer()
    Snapshots(tmp_path, 1.0).restore(last)
    assert_equal(last, restored)


def test_a_snapshot_without_any_index_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "replay"
    made, snapshots = buffer(), Snapshots(folder, 1.0)
    insert(made, range(3))
    take(snapshots, made)
    shutil.rmtree(max(folder.glob("index-*")))
    assert Snapshots(folder, 1.0).restore(buffer()) == {}
    assert "has no index that can be read" in caplog.text
    assert not folder.exists()


def test_a_disk_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "replay"
    blocked.write_text("a file where the folder should be")
    made, snapshots = buffer(), Snapshots(blocked, 0.0)
    insert(made, range(3))
    for _ in range(2):
        snapshots.take(made, {})
        snapshots.close(120)
    assert snapshots.disk.errors == 2
    assert caplog.text.count("cannot write") == 1
    blocked.unlink()
    snapshots.take(made, {})
    snapshots.close(120)
    restored = buffer()
    Snapshots(blocked, 1.0).restore(restored)
    assert_equal(restored, made)
