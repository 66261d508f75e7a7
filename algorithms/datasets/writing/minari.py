"""Writing datasets as Minari lays them out, so that its own package reads them.

Episodes go to a journal first. A dataset appears whole, when the recording is finished. Where a process died before,
the next one that opens the folder finds all episodes that were acknowledged and goes on behind them.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec

from surreal.algorithms.datasets.episode import Episode, leaves
from surreal.algorithms.datasets.hdf5 import h5py
from surreal.algorithms.datasets.index import write_index
from surreal.algorithms.datasets.minari import MAIN, METADATA, PROVENANCE
from surreal.algorithms.datasets.minari_spaces import Space, env_text, space_text
from surreal.algorithms.datasets.writing.journal import Journal, read_journal
from surreal.algorithms.types import Array
from surreal.protocol.errors import InvalidInput

VERSION = "0.5.0"
"""Version of minari whose layout this is; later ones read it, too."""
JOURNAL, SETTINGS = "recording.journal", "recording.json"
ID = re.compile(r"([-_\w][-_\w/]*[-_\w]+/)?[-_\w]+-v\d+")


class DatasetWriter:
    """Recording of one dataset. Use it as a context manager, or call `finish`."""

    def __init__(
        self,
        folder: Path,
        dataset_id: str,
        observation: Space,
        action: Space,
        spec: EnvSpec | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a recording in `folder`, or go on with one that a crash interrupted.

        Raises InvalidInput for an id that minari does not take, and for a folder that holds a finished dataset, or an
        unfinished one of other settings.
        """
        self.folder = checked(folder, dataset_id)
        self._id, self._about = dataset_id, described(observation, action, spec, provenance)
        journal = self.folder / JOURNAL
        self._settings = self.folder / SETTINGS
        _check_alike(self._settings, {"id": dataset_id, **self._about}, folder, journal.exists())
        kept = [len(arrays["rewards"]) for arrays, _ in read_journal(journal)] if journal.exists() else []
        self.episodes, self.steps = len(kept), sum(kept)
        """Episodes and steps that were written."""
        self._journal = Journal(journal)

    def add(self, episode: Episode) -> None:
        """Write an episode, see Journal.append. Raises DamagedError for one that makes no sense."""
        self._journal.append(*record_of(episode))
        self.episodes, self.steps = self.episodes + 1, self.steps + len(episode)

    def finish(self) -> Path:
        """Make the dataset of the journal, and return its folder. Raises InvalidInput for one without episodes."""
        self._journal.close()
        made = of_journals(self.folder.parent, self._id, self._about, [self._journal.path])
        self._journal.path.unlink()
        self._settings.unlink(missing_ok=True)
        return made

    def __enter__(self) -> "DatasetWriter":
        """Return itself."""
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        """Finish the dataset, or keep the journal where an error came up."""
        if kind is None:
            self.finish()
        else:
            self._journal.close()


def _check_alike(path: Path, settings: Mapping[str, Any], folder: Path, begun: bool) -> None:
    """Keep the settings of a recording at `path`. Raises InvalidInput where one with others has begun.

    Versions of packages may differ.
    """
    about = {**settings, PROVENANCE: {**settings[PROVENANCE], "versions": None}}
    text = json.dumps(about, sort_keys=True)
    if begun and path.exists() and path.read_text() != text:
        raise InvalidInput(
            f"--to: {folder} has an unfinished recording of other settings. Remove it, or name another folder."
        )
    path.write_text(text)


def checked(folder: Path, dataset_id: str) -> Path:
    """Return the folder of a new dataset's files, made. Raises InvalidInput for an id or a folder that cannot be."""
    h5py()
    if not ID.fullmatch(dataset_id):
        raise InvalidInput(f"--id: {dataset_id!r} is no id of a dataset. Write NAME/NAME-v0, such as hopper/mix-v0.")
    data = folder / "data"
    if (data / METADATA).exists():
        raise InvalidInput(f"--to: {folder} holds a dataset already. Name a new folder.")
    data.mkdir(parents=True, exist_ok=True)
    return data


def described(
    observation: Space, action: Space, spec: EnvSpec | None = None, provenance: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what metadata.json says of the environment and of where the episodes come from."""
    return {
        "observation_space": space_text(observation),
        "action_space": space_text(action),
        **({} if (text := env_text(spec)) is None else {"env_spec": text}),
        PROVENANCE: dict(provenance or {}),
    }


def record_of(episode: Episode) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return an episode as a journal has it: arrays and meta. Raises DamagedError for one that makes no sense."""
    episode.check()
    arrays = {".".join(("observations", *path)): array for path, array in leaves(episode.observations)}
    arrays |= {f"behaviour.{name}": array for name, array in episode.behaviour.items()}
    arrays |= {"actions": episode.actions, "rewards": episode.rewards}
    return arrays, {"seed": episode.seed, "terminated": episode.terminated, "truncated": episode.truncated}


def of_journals(folder: Path, dataset_id: str, about: Mapping[str, Any], journals: Sequence[Path]) -> Path:
    """Make the dataset in `folder` of all episodes of `journals`; `about` is what `described` returned.

    Returns the folder. One episode at a time is in memory. Raises InvalidInput where there are none.
    """
    data = checked(folder, dataset_id)
    main, part, episodes, steps = data / MAIN, data / f".{MAIN}", 0, 0
    with h5py().File(part, "w", track_order=True) as file:
        for arrays, meta in chain.from_iterable(map(read_journal, journals)):
            _write_episode(file, episodes, arrays, meta)
            episodes, steps = episodes + 1, steps + len(arrays["rewards"])
    if not episodes:
        part.unlink()
        raise InvalidInput(f"--to: {folder} got no episode. Record at least one.")
    _onto_disk(part, main)
    with h5py().File(main, "r") as file:
        write_index(main, file)
    said = {
        "dataset_id": dataset_id,
        "minari_version": VERSION,
        "data_format": "hdf5",
        # as they are, since JPEG loses some of it
        "jpeg_encoding": False,
        **about,
        "total_episodes": episodes,
        "total_steps": steps,
        "dataset_size": round(main.stat().st_size / 1e6, 1),
    }
    text = data / f".{METADATA}"
    text.write_text(json.dumps(said, indent=1))
    _onto_disk(text, data / METADATA)
    return folder


def _write_episode(file: Any, number: int, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Write one group. Arrays lie in one piece each, so that a reader can map them."""
    group, steps = file.create_group(f"episode_{number}"), len(arrays["rewards"])
    group.attrs["id"], group.attrs["total_steps"] = number, steps
    if meta["seed"] is not None:
        group.attrs["seed"] = meta["seed"]
    for name, array in arrays.items():
        first, *path = name.split(".")
        if first == "behaviour":
            # minari has a row of infos for the reset, too
            array = np.concatenate([np.zeros((1, *array.shape[1:]), array.dtype), array])
            group.create_dataset("/".join(("infos", *path)), data=array)
        else:
            group.create_dataset("/".join((first, *path)), data=array)
    for flag, at_end in (("terminations", meta["terminated"]), ("truncations", meta["truncated"])):
        flags = np.zeros(steps, dtype=np.bool_)
        flags[-1] = at_end
        group.create_dataset(flag, data=flags)


def _onto_disk(part: Path, path: Path) -> None:
    """Give a file its name once all of it is on the disk."""
    with part.open("rb") as opened:
        os.fsync(opened.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
