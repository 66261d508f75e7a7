"""Opening a dataset by its place: the format is told from the files."""

from collections.abc import Sequence
from pathlib import Path

from surreal.algorithms.datasets.d4rl import D4rlDataset
from surreal.algorithms.datasets.dataset import Dataset
from surreal.algorithms.datasets.hdf5 import Hdf5File
from surreal.algorithms.datasets.minari import MinariDataset, place_of
from surreal.algorithms.datasets.mixed import Mixed
from surreal.algorithms.datasets.recordings import RecordedDataset, journals_in
from surreal.algorithms.datasets.rlds.dataset import RldsDataset, is_rlds
from surreal.protocol.errors import Fatal

MINARI = "minari:"
"""Begin of the id of a dataset in minari's own folder."""
HDF5 = (".hdf5", ".h5")
FORMATS = "a folder of Minari, RLDS or spec.record, or an .hdf5 of D4RL's shape"


def open_dataset(place: str) -> Dataset:
    """Return the dataset at `place`: a path, a URL such as s3://bucket/hopper, or `minari:mujoco/hopper/medium-v0`.

    Raises Fatal where there is none or one of a format that cannot be read, and DamagedError for damaged files.
    """
    if place.startswith(MINARI):
        return MinariDataset(place_of(place.removeprefix(MINARI)))
    if place.endswith(HDF5):
        return D4rlDataset(Hdf5File(place))
    path = Path(place)
    if "://" not in place:
        if not path.exists():
            raise Fatal(f"dataset: {place!r} is not there. Name {FORMATS}.")
        if not path.is_dir():
            raise Fatal(f"dataset: {place!r} is no dataset that can be read. Name {FORMATS}.")
        if journals_in(path):
            return RecordedDataset(path)
    return RldsDataset(place) if is_rlds(place) else MinariDataset(place)


def open_all(places: str | Sequence[str], folder: str = "") -> Dataset:
    """Return the dataset at a place, or those at several, whose episodes are mixed. Raises as `open_dataset` does.

    Relative paths begin at `folder`.
    """
    found = [open_dataset(located(place, folder)) for place in ([places] if isinstance(places, str) else places)]
    return found[0] if len(found) == 1 else Mixed(found)


def located(place: str, folder: str) -> str:
    """Return a place with a relative path as one that begins at `folder`."""
    if place.startswith(MINARI) or "://" in place or not folder:
        return place
    return str(Path(folder, place))
