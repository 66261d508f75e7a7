"""What is kept of a peer's long run: whole or not at all, the newest that can be read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from peers.kept import keep, kept, newest
from tests.benchmarks.suites import ROOT


def read(path: Path) -> str:
    text = (path / "what").read_text()
    if not text:
        raise ValueError("cut")
    return text


def put(folder: Path, steps: int) -> None:
    def write(path: Path) -> None:
        (path / "what").write_text(f"{steps}")

    keep(folder, steps, write)


def test_the_newest_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    assert newest(tmp_path / "run", read) is None
    for steps in (900, 1_000_000, 1_000_000):
        put(tmp_path / "run", steps)
    assert newest(tmp_path / "run", read) == "1000000"
    assert len(kept(tmp_path / "run")) == 1


def test_a_cut_while_it_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    put(tmp_path, 900)

    def cut(path: Path) -> None:
        (path / "what").write_text("")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        keep(tmp_path, 1000, cut)
    assert newest(tmp_path, read) == "900"
    put(tmp_path, 1000)
    assert newest(tmp_path, read) == "1000"


def test_one_that_cannot_be_read_is_removed_and_the_one_before_taken(tmp_path: Path) -> None:
    put(tmp_path, 900)
    torn = tmp_path / "step-000000001000"
    torn.mkdir()
    (torn / "what").write_text("")
    assert newest(tmp_path, read) == "900"
    assert not torn.exists()


def rewards(path: Path) -> float:
    with (path / "replay.npz").open("rb") as file:
        return float(np.load(file)["rewards"].sum())


@pytest.mark.parametrize("torn", [b"", b"PK\x03\x04 half of an archive"])
def test_arrays_that_were_cut_are_no_run(tmp_path: Path, torn: bytes) -> None:
    keep(tmp_path, 900, lambda path: np.savez(path / "replay.npz", rewards=np.ones(3)))
    assert newest(tmp_path, rewards) == 3
    (kept(tmp_path)[0] / "replay.npz").write_bytes(torn)
    assert newest(tmp_path, rewards) is None


def test_a_tied_script_ends_well_while_its_parent_lives() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks' / 'peers')!r}); import tied; tied.tie(); print('row')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.read() == b"row\n"
        assert child.wait(60) == 0
