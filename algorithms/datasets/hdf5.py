"""HDF5 files: the one home of h5py. Arrays that lie in one piece in a file on this machine are mapped, not read."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from surreal.algorithms.datasets.episode import DamagedError
from surreal.algorithms.types import Array, Bool
from surreal.protocol.errors import Fatal, InvalidInput

NUMBERS = "biuf"
"""Kinds of numpy types that count as numbers."""
MOST_BYTES = 2**36
"""Bytes that one array of a file may have."""


def h5py() -> ModuleType:
    """Return the package h5py. Raises InvalidInput with its remedy where it is not installed."""
    try:
        import h5py as found
    except ImportError:
        raise InvalidInput("h5py: this package is not installed. Run pip install 'surreal[data]'.") from None
    module: ModuleType = found
    return module


class Hdf5File:
    """One file that is read, on this machine or behind a URL."""

    def __init__(self, place: str) -> None:
        """Open the file. Raises DamagedError for one that is truncated or no HDF5 file."""
        self.place = place
        self._mapped: Array | None = None
        self._remote: Any = None
        try:
            if "://" in place:
                from surreal.protocol.worker.object_store import open_url

                self._remote = open_url(place, scattered=True)
                self.file = h5py().File(self._remote, "r")
            else:
                self.file = h5py().File(place, "r")
                self._map(Path(place))
        except FileNotFoundError:
            raise Fatal(f"{place}: there is no such file. Correct dataset.") from None
        except OSError as error:
            raise DamagedError(
                f"{place}: it is damaged, truncated or no HDF5 file: {_first(error)}. Copy it anew."
            ) from None

    def _map(self, path: Path) -> None:
        with path.open("rb") as opened:
            self._mapped = np.frombuffer(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)

    def close(self) -> None:
        """Close the file. Arrays that were mapped stay valid."""
        self.file.close()
        if self._remote is not None:
            self._remote.close()

    def dataset(self, node: Any, name: str, episode: str) -> Any:
        """Return the h5py.Dataset `name` of the group `node`; `episode` is for errors.

        Raises DamagedError where there is none, and for what is no array [n, ...] of numbers.
        """
        with self.damage(episode):
            found = node.get(name)
            if not isinstance(found, h5py().Dataset):
                there = ", ".join(map(str, node))
                raise DamagedError(f"{episode}: there is no array {name!r}. It has: {there}. Record it anew.")
            if not found.shape or found.dtype.kind not in NUMBERS:
                what = f"of type {found.dtype} and shape {found.shape}"
                raise DamagedError(f"{episode}: {name} is {what}, no array of numbers. Record it anew.")
            return found

    def array(self, node: Any, name: str, episode: str) -> Array:
        """Return the numbers of the array `name`. Raises as `dataset` does."""
        found = self.dataset(node, name, episode)
        with self.damage(episode):
            return self.read(found)

    def column(self, node: Any, name: str, episode: str) -> Array:
        """Return the array `name` [n], one number for each step. Raises DamagedError for any other."""
        found = self.array(node, name, episode)
        if found.size != len(found):
            raise DamagedError(f"{episode}: {name} has the shape {found.shape}, not one number a step. Record it anew.")
        return found.reshape(-1)

    def flags(self, node: Any, name: str, episode: str) -> Bool:
        """Return the array `name` [n] as flags. Raises DamagedError for other values than 0 and 1."""
        found = self.column(node, name, episode)
        if not ((found == 0) | (found == 1)).all():
            raise DamagedError(f"{episode}: {name} has other values than 0 and 1. Record it anew.")
        return found.astype(np.bool_)

    def read(self, found: Any) -> Array:
        """Return the numbers of an h5py.Dataset: a view on the mapped file where they lie in one piece."""
        if found.nbytes > MOST_BYTES:
            raise DamagedError(f"{self.place}: {found.name} claims {found.nbytes:,} bytes. At most {MOST_BYTES:,}.")
        return np.asarray(self.lazy(found)[()])

    def lazy(self, found: Any) -> Any:
        """Return an h5py.Dataset, or a view on the mapped file where it lies in one piece: slices of it are arrays."""
        start = found.id.get_offset() if self._mapped is not None else None
        if start is None or found.dtype.kind not in "fiu" or not found.size:
            return found
        assert self._mapped is not None
        return self._mapped[start : start + found.nbytes].view(found.dtype).reshape(found.shape)

    @contextmanager
    def damage(self, episode: str) -> Iterator[None]:
        """Turn what h5py raises for damaged bytes into a DamagedError that names `episode`."""
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise DamagedError(f"{episode}: it cannot be read: {_first(error)}") from None


def _first(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
