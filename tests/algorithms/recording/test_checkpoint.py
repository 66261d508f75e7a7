"""Checkpoints are whole or not there; damage is seen; the newest good one is found."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from surreal.algorithms.recording import checkpoint as module
from surreal.algorithms.recording.checkpoint import MANIFEST, TENSORS, Checkpoint, Checkpoints, load
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal


def checkpoint(steps: int) -> Checkpoint:
    return Checkpoint(steps, {"w": np.full(100, float(steps)), "n": np.array([steps])}, {"rng": {"state": 2**100}})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    Checkpoints(tmp_path, keep=3).save(checkpoint(7))
    found = Checkpoints(tmp_path, keep=3).newest()
    assert found is not None
    assert found.steps == 7
    assert (found.arrays["w"] == 7.0).all()
    assert found.state == {"rng": {"state": 2**100}}


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new", keep=3).newest() is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=2)
    for steps in (5, 50, 500, 5000):
        store.save(checkpoint(steps))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-000000000500", "step-000000005000"]


def test_the_best_policy_outlives_pruning_and_only_a_better_one_replaces_it(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=1)
    for steps, score in ((1, 10.0), (2, 30.0), (3, 20.0)):
        store.save(checkpoint(steps))
        store.save_best(steps, score, {"w": np.array([score])})
    best = [path for path in tmp_path.iterdir() if path.name.startswith("best-")]
    assert [path.name for path in best] == ["best-000000000002"]
    assert load(best[0]).arrays["w"].tolist() == [30.0]


@pytest.mark.parametrize("name", [TENSORS, MANIFEST])
def test_any_flipped_byte_or_truncation_is_refused(tmp_path: Path, name: str) -> None:
    Checkpoints(tmp_path, keep=3).save(checkpoint(7))
    folder = tmp_path / "step-000000000007"
    path = folder / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 200):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises((ValueError, KeyError)):
                load(folder)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=3)
    store.save(checkpoint(1))
    store.save(checkpoint(2))
    (tmp_path / "step-000000000002" / TENSORS).write_bytes(b"rotten")
    found = Checkpoints(tmp_path, keep=3).newest()
    assert found is not None
    assert found.steps == 1


@pytest.mark.parametrize("keep", [1, 2])
def test_what_is_saved_after_damaged_ones_takes_their_place(tmp_path: Path, keep: int) -> None:
    for steps in (10, 20, 30):
        Checkpoints(tmp_path, keep=3).save(checkpoint(steps))
    for name in ("step-000000000020", "step-000000000030"):
        (tmp_path / name / TENSORS).write_bytes(b"rotten")
    store = Checkpoints(tmp_path, keep)
    assert (first := store.newest()) is not None and first.steps == 10
    for steps in (15, 16, 25):
        store.save(checkpoint(steps))
        found = Checkpoints(tmp_path, keep).newest()
        assert found is not None and found.steps == steps
        assert len(list(tmp_path.glob("step-*"))) == min(keep, 2)


def test_a_full_disk_costs_damaged_checkpoints_before_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Checkpoints(tmp_path, keep=3)
    for steps in (10, 20):
        store.save(checkpoint(steps))
    (tmp_path / "step-000000000020" / TENSORS).write_bytes(b"rotten")
    assert (first := store.newest()) is not None and first.steps == 10

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write_durably", full)
    with pytest.raises(OSError, match="No space left"):
        store.save(checkpoint(15))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000010"]


def test_starting_from_zero_silently_is_refused_when_all_are_damaged(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=3)
    store.save(checkpoint(1))
    (tmp_path / "step-000000000001" / MANIFEST).unlink()
    with pytest.raises(Fatal, match="all 1 checkpoints are damaged"):
        store.newest()


def test_a_checkpoint_that_cannot_be_written_leaves_the_older_ones(tmp_path: Path) -> None:
    store = Checkpoints(tmp_path, keep=3)
    store.save(checkpoint(1))
    (tmp_path / ".unfinished-step-000000000002").write_text("in the way")
    with pytest.raises(OSError):
        store.save(checkpoint(2))
    assert store.newest() is not None


WRITER = """
import sys
from pathlib import Path
import numpy as np
from surreal.algorithms.recording.checkpoint import Checkpoint, Checkpoints
store = Checkpoints(Path(sys.argv[1]), keep=2)
first = store.newest()
steps = first.steps if first else 0
print("ready", flush=True)
while True:
    steps += 1
    store.save(Checkpoint(steps, {"w": np.full(200_000, float(steps))}, {"steps": steps}))
"""


def test_a_writer_killed_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path: Path) -> None:
    steps = 0
    for round_ in range(12):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.02 + 0.013 * round_)  # another moment every time, not a wait for something
            os.kill(writer.pid, signal.SIGKILL)
        found = Checkpoints(tmp_path, keep=2).newest()
        if found is not None:
            assert (found.arrays["w"] == found.state["steps"]).all()
            assert found.steps >= steps
            steps = found.steps
    assert steps > 0


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3).T,
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.arange(24, dtype=np.int64).reshape(2, 3, 4)[:, ::-1, 1:3],
        np.arange(6, dtype=">f4"),
        np.broadcast_to(np.float32(3.0), (2, 2)),
        np.array(3.0),
        np.empty((0, 3)),
    ],
    ids=["transposed", "fortran", "strided", "reversed", "big-endian", "broadcast", "scalar", "empty"],
)
def test_arrays_of_any_memory_layout_are_loaded_as_what_they_are(tmp_path: Path, array: Array) -> None:
    store = Checkpoints(tmp_path, keep=1)
    store.save(Checkpoint(1, {"w": array}))
    store.save_best(1, 1.0, {"w": array})
    for folder in tmp_path.iterdir():
        found = load(folder).arrays["w"]
        assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, array)
