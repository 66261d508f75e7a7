"""Reading a folder that TensorFlow Datasets wrote in RLDS's form: features.json, and TFRecord files of episodes.

Step t holds the observation, the action that followed, and its reward. Of the last step only the observation counts.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from surreal.algorithms.datasets.dataset import Described
from surreal.algorithms.datasets.episode import About, DamagedError, Episode
from surreal.algorithms.datasets.rlds.example import read_example
from surreal.algorithms.datasets.rlds.features import Leaf, Tree, arrays, flag, read_features
from surreal.algorithms.datasets.rlds.tfrecord import Record, payload, records
from surreal.protocol.errors import Fatal

FEATURES, INFO, RECORDS = "features.json", "dataset_info.json", ".tfrecord"
NEEDED = ("observation", "action", "reward", "is_last", "is_terminal")
MOST_JSON = 2**26
"""Bytes of a JSON file that are read."""
TRAIN = "-train."
NUMBERED = re.compile(r"-([0-9]{5})-of-([0-9]{5})$")
"""End of a file's name: its number, and that of all."""


class Part(NamedTuple):
    """One file of records."""

    place: str
    size: int
    episodes: int | None = None
    """Episodes that dataset_info.json says, where it does."""


class RldsDataset(Described):
    """Episodes of all files of the split `train`, or of all files where there is no such split.

    A file is read from its begin to its end, files in random order: there is no index of episodes.
    """

    def __init__(self, place: str) -> None:
        """Read the description, which says neither steps nor environment.

        Raises DamagedError where it is no RLDS dataset, Fatal where there is none.
        """
        folder = place.rstrip("/")
        try:
            self._features = read_features(_json(folder, FEATURES))
        except FileNotFoundError:
            raise Fatal(f"{place}: there is no {FEATURES} in it. Name the folder of one version of it.") from None
        except ValueError as error:
            raise DamagedError(f"{place}/{FEATURES}: {error}. Copy it anew.") from None
        missing = [name for name in NEEDED if name not in self._features]
        if missing:
            has = ", ".join(sorted(self._features))
            raise DamagedError(f"{place}: its steps have no {missing[0]!r}, which RLDS wants. They have: {has}.")
        self._action = _one(place, self._features, "action")
        self._parts = _complete(folder, _parts(folder))
        super().__init__(folder, About("rlds", sum(part.episodes or 0 for part in self._parts), 0))

    def lengths(self, shard: int, shards: int) -> list[int] | None:
        """Return None: only reading tells."""
        return None

    def episodes(self, shard: int, shards: int, rng: np.random.Generator) -> Iterator[Callable[[], Episode]]:
        """See Dataset. Each has to be read before the next one is asked for."""
        for number in rng.permutation(len(self._parts)).tolist():
            part = self._parts[number]
            with closing(_opened(part.place)) as file:
                for index, record in enumerate(_records(file, part)):
                    if (index + number) % shards == shard:
                        yield partial(self._episode, file, record, f"{part.place}: record {index}")

    def _episode(self, file: BinaryIO, record: Record, place: str) -> Episode:
        """Return an episode. Raises DamagedError for one that makes no sense."""
        try:
            values = read_example(payload(file, record))
            seen = arrays(self._features["observation"], values)
            actions, rewards = arrays(self._action, values), arrays(self._features["reward"], values)
            last, terminal = (flag(self._features, name, values) for name in ("is_last", "is_terminal"))
        except (ValueError, KeyError, OSError) as error:
            raise DamagedError(f"{place}: {error}. Copy it anew, or set skip_damaged: true.") from None
        if len({len(actions), len(rewards), len(last), len(terminal)}) > 1:
            raise DamagedError(f"{place}: its features have different numbers of steps. Set skip_damaged: true.")
        for name, flags in (("is_last", last), ("is_terminal", terminal)):
            if flags[:-1].any():
                at = int(np.argmax(flags))
                raise DamagedError(
                    f"{place}: {name} is true at step {at} of {len(flags)}, and the episode goes on. "
                    "Record it anew, or set skip_damaged: true."
                )
        terminated = bool(len(terminal) and terminal[-1])
        rows = rewards.reshape(-1)[:-1].astype(np.float64)
        return Episode(place, seen, actions[:-1], rows, terminated, not terminated).check()

    def close(self) -> None:
        """See Dataset: files are open only while they are read."""


def is_rlds(place: str) -> bool:
    """Return True where a folder or a URL has RLDS's description."""
    if "://" not in place:
        return Path(place, FEATURES).is_file()
    try:
        _json(place.rstrip("/"), FEATURES)
    except FileNotFoundError:
        return False
    return True


def _one(place: str, features: Mapping[str, Tree], name: str) -> Leaf:
    found = features[name]
    if not isinstance(found, Leaf):
        raise Fatal(f"{place}: its {name}s are several features: {', '.join(found)}. Datasets have one array of them.")
    return found


def _records(file: BinaryIO, part: Part) -> Iterator[Record]:
    """Yield the records of a file. Raises DamagedError, which names it, where it is truncated."""
    count = 0
    try:
        for record in records(file, part.size):
            count += 1
            yield record
    except ValueError as error:
        raise DamagedError(f"{part.place}: {error}. Copy it anew.") from None
    if part.episodes not in (None, count):
        raise DamagedError(f"{part.place}: it has {count} episodes, and {INFO} says {part.episodes}. Copy it anew.")


def _parts(place: str) -> list[Part]:
    """Return the files of records. Raises Fatal where there is none."""
    if "://" in place:
        from surreal.protocol.worker.object_store import ObjectStore

        found = [Part(f"{place}/{each.name}", each.size) for each in ObjectStore(place).find() if "/" not in each.name]
    else:
        found = [Part(str(path), path.stat().st_size) for path in Path(place).iterdir()]
    found = sorted(part for part in found if RECORDS in part.place.rpartition("/")[2])
    training = [part for part in found if TRAIN in part.place.rpartition("/")[2]]
    if not found:
        raise Fatal(f"{place}: there is no {RECORDS} file beside {FEATURES}. Copy the whole folder.")
    return training or found


def _complete(place: str, parts: list[Part]) -> list[Part]:
    """Return the parts with their episodes. Raises DamagedError where one of `-00000-of-00002` and so on is missing."""
    numbered = [(part, NUMBERED.search(part.place)) for part in parts]
    for total in {found[2] for _, found in numbered if found}:
        there = {int(found[1]) for _, found in numbered if found and found[2] == total}
        if missing := set(range(int(total))) - there:
            name = f"-{min(missing):05}-of-{total}"
            raise DamagedError(f"{place}: its file {name} is missing. Copy the whole folder.")
    lengths = _lengths(place)
    if len(lengths) != len(parts) or not all(found for _, found in numbered):
        return parts
    return [part._replace(episodes=lengths[int(found[1])]) for part, found in numbered if found]


def _lengths(place: str) -> list[int]:
    """Return the episodes of each file that dataset_info.json says; none where it says none."""
    try:
        splits = json.loads(_json(place, INFO))["splits"]
        chosen = [each for each in splits if each["name"] == "train"] or splits
        return [int(count) for each in chosen for count in each["shardLengths"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _json(place: str, name: str) -> bytes:
    with closing(_opened(f"{place}/{name}")) as file:
        return bytes(file.read(MOST_JSON))


def _opened(place: str) -> Any:
    """Open a file for reading. Raises FileNotFoundError, and Fatal where it is there and cannot be read."""
    if "://" not in place:
        try:
            return open(place, "rb")
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Fatal(f"{place}: cannot be read: {error.strerror}. Let this process read it.") from None
    from surreal.protocol.worker.object_store import open_url

    return open_url(place)
