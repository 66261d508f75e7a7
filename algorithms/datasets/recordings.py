"""Recordings of actors, a folder of journals with a description each: read as it is, or made into Minari's format.

A journal may still grow: what was in it when the folder was opened is read.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from surreal.algorithms.datasets.dataset import Numbered
from surreal.algorithms.datasets.episode import INDEX, About, DamagedError, Episode, Nested
from surreal.algorithms.datasets.minari import PROVENANCE
from surreal.algorithms.datasets.minari_spaces import env_id, read_space
from surreal.algorithms.datasets.writing.journal import Entry, entries, read_entry, said_of
from surreal.algorithms.datasets.writing.minari import of_journals
from surreal.algorithms.types import Array
from surreal.protocol.errors import Fatal, InvalidInput, NotFound

SUFFIX, SEEN = ".journal", "observations"
MOST_DESCRIPTION = 2**26
"""Bytes of a description that are read."""
SAME = ("observation_space", "action_space", "env_spec")
"""Keys of a description that journals of one dataset have in common."""


def journals_in(folder: Path) -> list[Path]:
    """Return the journals of a folder, in the order of their names."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def description(journal: Path) -> dict[str, Any]:
    """Return what stands beside a journal. Raises DamagedError where there is none."""
    path = journal.with_suffix(".json")
    try:
        with path.open("rb") as opened:
            found = json.loads(opened.read(MOST_DESCRIPTION))
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path}: cannot be read: {error}. Remove {journal.name}, or copy both anew.") from None
    if not isinstance(found, dict):
        raise DamagedError(f"{path}: it holds no mapping. Remove {journal.name}, or copy both anew.")
    return found


class RecordedDataset(Numbered):
    """Episodes of all journals of a folder."""

    def __init__(self, folder: Path) -> None:
        """Look through the heads of all records. Raises Fatal where there is no journal."""
        self._paths = journals_in(folder)
        if not self._paths:
            raise Fatal(f"{folder}: no actor has recorded there. Name the folder of spec.record.")
        self._entries = [(path, entry) for path in self._paths for entry in entries(path)]
        self._steps = [_steps(path, entry) for path, entry in self._entries]
        said = description(self._paths[0])
        about = About(
            "recorded",
            len(self._entries),
            sum(self._steps),
            env_id(said.get("env_spec")),
            read_space(said.get("observation_space"), str(folder)),
            read_space(said.get("action_space"), str(folder)),
            said.get(PROVENANCE) or {},
        )
        super().__init__(str(folder), about)

    def __len__(self) -> int:
        """Return the number of episodes."""
        return len(self._entries)

    def length(self, number: int) -> int:
        """See Numbered."""
        return self._steps[number]

    def __getitem__(self, number: int) -> Episode:
        """See Numbered."""
        path, entry = self._entries[number]
        place = f"{path}: episode {number}"
        try:
            arrays, meta = read_entry(path, entry)
            return Episode(
                place,
                _nested({tuple(name.split(".")[1:]): each for name, each in arrays.items() if name.startswith(SEEN)}),
                arrays["actions"],
                np.asarray(arrays["rewards"], dtype=np.float64),
                bool(meta["terminated"]),
                not meta["terminated"],
                meta["seed"],
            ).check()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedError(f"{place}: cannot be read: {error}. Set skip_damaged: true.") from None

    def close(self) -> None:
        """See Numbered: no file stays open."""


def _steps(path: Path, entry: Entry) -> int:
    """Return the steps of a record; 0 where its header makes no sense, which reading it says."""
    try:
        return next(int(shape[0]) for name, _, shape in said_of(path, entry)["arrays"] if name == "rewards")
    except (ValueError, KeyError, TypeError, IndexError, StopIteration):
        return 0


def _nested(parts: dict[tuple[str, ...], Array]) -> Nested:
    """Return observations as they were, from their arrays by path."""
    if () in parts:
        return parts[()]
    names = list(dict.fromkeys(path[0] for path in parts))
    inner = {name: _nested({path[1:]: each for path, each in parts.items() if path[0] == name}) for name in names}
    if f"{INDEX}0" in inner:
        return tuple(inner[f"{INDEX}{number}"] for number in range(len(inner)))
    return inner


def collect(source: Path, folder: Path, dataset_id: str) -> Path:
    """Make the dataset `folder` of all journals in `source`, which stay, and return it.

    A run may still record: what is whole is taken. Raises NotFound where there is no journal, InvalidInput where they
    are of several environments, for an id that minari does not take, and for a folder that holds a dataset.
    """
    journals = journals_in(source)
    if not journals:
        raise NotFound(f"{source}: no actor has recorded there. Name a run with spec.record, or its folder.")
    said = [description(journal) for journal in journals]
    first = said[0]
    for journal, other in zip(journals, said, strict=True):
        if any(other.get(key) != first.get(key) for key in SAME):
            raise InvalidInput(f"{journal}: is of another environment than {journals[0].name}. Keep runs apart.")
    recorded = [each.get(PROVENANCE) or {} for each in said]
    about = {**{key: first[key] for key in SAME if key in first}, PROVENANCE: {"recorded": recorded}}
    return of_journals(folder, dataset_id, about, journals)
