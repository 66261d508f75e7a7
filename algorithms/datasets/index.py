"""Index of a dataset that was recorded here: the places of all arrays in its HDF5 file, which is then mapped.

h5py takes a tenth of a millisecond and more to find an array, and an episode has five. The index lies beside the file.
It counts only while the file is as it was: a copy or an edit is read by h5py alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.datasets.episode import DamagedError, Episode
from surreal.algorithms.types import Array

INDEX_FILE = "surreal_index.npz"
BEHAVIOUR = "log_probabilities"
ARRAYS = {"observations": 1, "actions": 0, "rewards": 0, BEHAVIOUR: 0}
"""Name -> rows that it has beside those of the steps."""
NONE = -1


class Index:
    """Places of all arrays in one file, which is mapped."""

    def __init__(self, folder: str, arrays: Mapping[str, Array]) -> None:
        """Map the file beside the index `arrays`. Raises ValueError where the two do not belong together."""
        self.main = Path(folder, "main_data.hdf5")
        if arrays["stamp"].tolist() != stamp(self.main):
            raise ValueError("the file has changed")
        self._mapped: Array = np.asarray(np.memmap(self.main, dtype=np.uint8, mode="r"))
        self.steps, self.seeds, self._terminated = arrays["steps"], arrays["seeds"], arrays["terminated"]
        self._starts = {name: arrays[name] for name in ARRAYS}
        self._types = {
            name: (np.dtype(str(arrays[f"{name}.dtype"])), tuple(arrays[f"{name}.shape"].tolist())) for name in ARRAYS
        }
        if any(len(each) != len(self.steps) for each in (self.seeds, self._terminated, *self._starts.values())):
            raise ValueError("its columns differ in length")

    def episode(self, number: int) -> Episode:
        """Return an episode, whose arrays are views on the file. Raises DamagedError where they lie outside of it."""
        place, seed = f"{self.main}: episode {number}", int(self.seeds[number])
        terminated = bool(self._terminated[number])
        known = self._starts[BEHAVIOUR][number] != NONE
        return Episode(
            place,
            self._array("observations", number, place),
            self._array("actions", number, place),
            self._array("rewards", number, place),
            terminated,
            not terminated,
            None if seed == NONE else seed,
            {BEHAVIOUR: self._array(BEHAVIOUR, number, place)} if known else {},
        ).check()

    def _array(self, name: str, number: int, place: str) -> Array:
        dtype, shape = self._types[name]
        rows, start = int(self.steps[number]) + ARRAYS[name], int(self._starts[name][number])
        size = rows * dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        if not 0 <= start <= start + size <= len(self._mapped):
            raise DamagedError(f"{place}: its {name} lie outside of the file. Remove {INDEX_FILE}.")
        found: Array = self._mapped[start : start + size].view(dtype).reshape(rows, *shape)
        return found


def read_index(folder: str) -> Index | None:
    """Return the index in a folder; None where there is none, or one of another file."""
    try:
        with np.load(Path(folder, INDEX_FILE), allow_pickle=False) as found:
            return Index(folder, dict(found))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stamp(path: Path) -> list[int]:
    """Return size and time of the last change of a file, by which an edit or a copy is told."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def index_of(file: Any, path: Path) -> dict[str, Array] | None:
    """Return the index of an open h5py.File at `path`; None where some array is nested or in pieces."""
    groups = [file[f"episode_{number}"] for number in range(len(file))]
    found: dict[str, Any] = {
        "stamp": np.array(stamp(path)),
        "steps": np.array([len(group["rewards"]) for group in groups]),
        "seeds": np.array([group.attrs.get("seed", NONE) for group in groups]),
        "terminated": np.array([bool(group["terminations"][-1]) for group in groups]),
    }
    for name in ARRAYS:
        place = f"infos/{name}" if name == BEHAVIOUR else name
        own = [group.get(place) for group in groups]
        if name == BEHAVIOUR and None in own:
            found |= {name: np.full(len(own), NONE), f"{name}.dtype": "<f8", f"{name}.shape": np.zeros(0, np.int64)}
            continue
        if any(not hasattr(each, "dtype") or each.id.get_offset() is None for each in own):
            return None
        if len({(each.dtype, each.shape[1:]) for each in own}) > 1:
            return None
        # infos have a row more than there are steps, that of the reset
        skipped = own[0].dtype.itemsize if name == BEHAVIOUR else 0
        found[name] = np.array([each.id.get_offset() + skipped for each in own])
        found |= {f"{name}.dtype": own[0].dtype.str, f"{name}.shape": np.array(own[0].shape[1:], np.int64)}
    return found


def write_index(path: Path, file: Any) -> None:
    """Write the index of an open h5py.File at `path` beside it, where it can have one."""
    found = index_of(file, path)
    if found is not None:
        np.savez(path.parent / INDEX_FILE, allow_pickle=False, **found)
