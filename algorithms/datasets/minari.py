"""Reading Minari's datasets: folders with metadata.json and main_data.hdf5, a group for each episode."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

from surreal.algorithms.datasets.dataset import Numbered
from surreal.algorithms.datasets.episode import INDEX, About, DamagedError, Episode, Nested, ends
from surreal.algorithms.datasets.hdf5 import Hdf5File, h5py
from surreal.algorithms.datasets.index import read_index
from surreal.algorithms.datasets.minari_spaces import Space, env_id, read_space
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, NotFound

METADATA, MAIN = "metadata.json", "main_data.hdf5"
MOST_METADATA = 2**26
"""Bytes of metadata.json that are read."""
PROVENANCE = "surreal"
"""Key of metadata.json under which recordings of surreal say where they come from."""
SMALLEST_IMAGE = 32
"""Rows and columns from which minari takes an array of bytes for an image."""


def place_of(name: str) -> str:
    """Return the folder of a dataset by its id, as minari finds it. Raises NotFound."""
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
    folder = root / name / "data"
    if not (folder / METADATA).is_file():
        raise NotFound(f"dataset: minari has no {name!r} in {root}. Run `minari download {name}` first.")
    return str(folder)


class MinariDataset(Numbered):
    """A dataset in Minari's layout of HDF5."""

    def __init__(self, place: str) -> None:
        """Open the folder, its subfolder `data`, or a URL of one. Raises DamagedError, and Fatal where none is."""
        self._root, metadata = _metadata(place.rstrip("/"))
        form = metadata.get("data_format", "hdf5")
        if form != "hdf5":
            raise Fatal(f"{place}: its data_format is {form!r}. Only 'hdf5' can be read: convert it by minari.")
        self._jpeg = bool(metadata.get("jpeg_encoding", True))
        self._opened = Hdf5File(f"{self._root}/{MAIN}")
        self._index = None if "://" in self._root else read_index(self._root)
        self._count = sum(1 for name in self._opened.file if name.startswith("episode_"))
        if self._index is not None and len(self._index.steps) != self._count:
            self._index = None
        about = About(
            "minari",
            self._count,
            steps if isinstance(steps := metadata.get("total_steps"), int) else 0,
            env_id(metadata.get("env_spec")),
            read_space(metadata.get("observation_space"), place),
            read_space(metadata.get("action_space"), place),
            metadata.get(PROVENANCE) or {},
        )
        self.metadata: Mapping[str, Any] = metadata
        """All of metadata.json."""
        self._check(place, metadata, about)
        super().__init__(place, about)

    def _check(self, place: str, metadata: Mapping[str, Any], about: About) -> None:
        """Raise DamagedError where the files contradict each other, Fatal for what cannot be read exactly."""
        said = metadata.get("total_episodes", self._count)
        if said != self._count:
            raise DamagedError(f"{place}: metadata.json says {said} episodes, {MAIN} has {self._count}. Copy it anew.")
        if self._jpeg and about.observation is not None and any(map(_is_image, _parts(about.observation))):
            raise Fatal(
                f"{place}: its observations are images as JPEG, which no longer are what the environment gave. "
                "Record it with jpeg_encoding=False."
            )

    def __len__(self) -> int:
        """Return the number of episodes."""
        return self._count

    def length(self, number: int) -> int:
        """See Numbered."""
        if self._index is not None:
            return int(self._index.steps[number])
        place = f"{self._root}/{MAIN}: episode {number}"
        with self._opened.damage(place):
            group = self._opened.file[f"episode_{number}"]
            said = group.attrs.get("total_steps")
            return int(len(group["rewards"]) if said is None else said)

    def __getitem__(self, number: int) -> Episode:
        """See Numbered."""
        if self._index is not None:
            return self._index.episode(number)
        place = f"{self._root}/{MAIN}: episode {number}"
        with self._opened.damage(place):
            group = self._opened.file.get(f"episode_{number}")
            if not isinstance(group, h5py().Group):
                raise DamagedError(f"{place}: there is none of that number. Episodes are numbered from 0.")
            seed = group.attrs.get("seed")
        rewards = self._opened.column(group, "rewards", place)
        terminations, truncations = (self._opened.flags(group, name, place) for name in ("terminations", "truncations"))
        if not len(rewards) == len(terminations) == len(truncations):
            raise DamagedError(f"{place}: rewards, terminations and truncations differ in length. Record it anew.")
        actions = self._opened.array(group, "actions", place)
        return Episode(
            place,
            self._nested(group, "observations", place),
            actions,
            np.asarray(rewards, dtype=np.float64),
            *ends(place, terminations, truncations),
            None if seed is None else int(seed),
            self._behaviour(group, place),
        ).check()

    def _nested(self, group: Any, name: str, place: str) -> Nested:
        """Return an array, or a mapping or a tuple of them, as the groups below `name` are named."""
        found = group.get(name)
        if not isinstance(found, h5py().Group):
            return self._opened.array(group, name, place)
        if f"{INDEX}0" in found:
            return tuple(self._nested(found, f"{INDEX}{part}", place) for part in range(len(found)))
        return {key: self._nested(found, key, place) for key in found}

    def _behaviour(self, group: Any, place: str) -> dict[str, Array]:
        """Return the arrays that a recording of surreal has in `infos`."""
        infos = group.get("infos")
        if not isinstance(infos, h5py().Group) or "log_probabilities" not in infos:
            return {}
        # minari has one more row of infos, that of the reset
        return {"log_probabilities": self._opened.array(infos, "log_probabilities", place)[1:]}

    def close(self) -> None:
        """See Numbered."""
        self._opened.close()


def _metadata(place: str) -> tuple[str, Mapping[str, Any]]:
    """Return the folder that holds the files, and metadata.json."""
    for root in (place, f"{place}/data"):
        try:
            return root, _parsed(root, _read(f"{root}/{METADATA}"))
        except FileNotFoundError:
            continue
    raise Fatal(f"{place}: there is no {METADATA} in it. Name the folder of a Minari dataset.")


def _parsed(root: str, data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise DamagedError(f"{root}/{METADATA}: it is damaged or truncated: {error}. Copy it anew.") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{root}/{METADATA}: it holds no mapping. Copy it anew.")
    return found


def _read(place: str) -> bytes:
    if "://" not in place:
        with open(place, "rb") as opened:
            return opened.read(MOST_METADATA)
    from surreal.protocol.worker.object_store import open_url

    with open_url(place) as remote:
        return bytes(remote.read(MOST_METADATA))


def _parts(space: Space) -> list[Space]:
    if isinstance(space, spaces.Dict):
        return [leaf for part in space.spaces.values() for leaf in _parts(part)]
    if isinstance(space, spaces.Tuple):
        return [leaf for part in space.spaces for leaf in _parts(part)]
    return [space]


def _is_image(space: Space) -> bool:
    """Return True for a space that minari encodes as JPEG."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return False
    return min(space.shape[:2]) >= SMALLEST_IMAGE and bool((space.low == 0).all() and (space.high == 255).all())
