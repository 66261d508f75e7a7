"""Snapshots of a shard: on a clock, in a thread, only what is new, each part whole or not there.

Rows never change once they are written. So a snapshot adds parts with the blocks that came since the last one, and then
an index with all that does change: counters, senders, priorities. Parts of which nothing is left are removed.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from surreal.algorithms.recording.checkpoint import Checkpoint, load, write
from surreal.algorithms.recording.disk import Disk
from surreal.algorithms.replay.buffer import ReplayBuffer
from surreal.algorithms.replay.fragment import Field, Schema
from surreal.algorithms.replay.ring import Block
from surreal.algorithms.types import Array

log = getLogger(__name__)
VERSION = 1
PART, INDEX = "blocks-", "index-"
KEPT = 2
"""Indexes that are kept, should the newest be damaged."""
PART_BYTES = 64 * 2**20
"""Bytes of rows in one part, more or less: what a snapshot needs in memory."""


class Mark(NamedTuple):
    """Everything of a shard that a snapshot needs, as it was at one moment."""

    first_block: int
    blocks: list[Block]
    """Blocks from `first_block` on."""
    first_new: int
    arrays: dict[str, Array]
    """Number of items in every block, and their priorities."""
    state: dict[str, Any]


class Snapshots:
    """Folder of one shard's snapshots."""

    def __init__(self, folder: Path, seconds: float, env: str = "") -> None:
        """Write into `folder` every so many `seconds` what came from the environment of the id `env`."""
        self.folder, self._seconds, self._env = folder, seconds, env
        self._saved = self._number = 0
        """Number of the first block that is in no part, and of the last index."""
        self._needed = 0
        """Number of the first block that the index before the last one needs."""
        self._taken = monotonic()
        self._thread: Thread | None = None
        self.disk = Disk()
        self.lost = 0
        """Parts that could not be read again."""
        self.took = 0.0
        """Seconds that the last snapshot took to write."""

    @property
    def due(self) -> bool:
        """True where it is time for a snapshot and the last one is written."""
        return monotonic() - self._taken >= self._seconds and not (self._thread and self._thread.is_alive())

    def take(self, buffer: ReplayBuffer, counters: Mapping[str, Any]) -> None:
        """Begin a snapshot of `buffer` and `counters` as they are now."""
        self._taken = monotonic()
        if buffer.schema is None:
            return
        mark = self._mark(buffer, counters)
        self._thread = Thread(target=self._write, args=(buffer, mark), name="surreal-snapshot", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Wait up to so many seconds for the snapshot under way."""
        if self._thread:
            self._thread.join(seconds)

    def clear(self) -> None:
        """Remove all snapshots."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def restore(self, buffer: ReplayBuffer) -> dict[str, Any]:
        """Fill an empty `buffer` from the newest snapshot; return its counters, none where there is no snapshot.

        One of another version, environment or settings is put aside, which is logged.
        """
        for leftover in self.folder.glob(".unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        index = self._newest_index()
        if index is None and not self._parts():
            return {}
        if problem := _unfit(index.state, buffer, self._env) if index else "has no index that can be read":
            aside = self.folder.with_name(f"{self.folder.name}.refused")
            shutil.rmtree(aside, ignore_errors=True)
            self.folder.rename(aside)
            self.lost += 1
            log.warning("the snapshot in %s %s; put aside as %s, this shard begins empty", self.folder, problem, aside)
            return {}
        assert index is not None
        for first, _, path in self._parts():
            # this process died before the index of these was there
            if first >= index.state["next_block"]:
                shutil.rmtree(path, ignore_errors=True)
        self._needed = index.state["first_block"]
        self._fill(buffer, index)
        return dict(index.state["counters"])

    def _newest_index(self) -> Checkpoint | None:
        """Return the newest index that is whole; remove those that are not."""
        for path in sorted(self.folder.glob(f"{INDEX}*"), reverse=True):
            try:
                found = load(path)
            except (OSError, ValueError, KeyError) as error:
                log.warning("snapshot %s is damaged (%s); trying the one before", path, error)
                self.lost += 1
                shutil.rmtree(path, ignore_errors=True)
                continue
            self._number = int(path.name.removeprefix(INDEX))
            return found
        return None

    def _fill(self, buffer: ReplayBuffer, index: Checkpoint) -> None:
        """Fill `buffer` with the blocks that the index names."""
        state = index.state
        buffer.allocate(_schema(state["schema"]))
        buffer.senders = {name: (each[0], each[1]) for name, each in state["senders"].items()}
        buffer.steps, buffer.doubles = state["steps"], state["doubles"]
        buffer.ring.first_block = state["first_block"]
        priorities, begins = index.arrays["priorities"], np.append(0, index.arrays["items"].cumsum())
        for first, end, path in self._parts():
            wanted = range(max(first, state["first_block"]), min(end, state["next_block"]))
            if wanted and (part := self._load(path)):
                own = priorities[begins[wanted.start - state["first_block"]] :]
                _append(buffer, part, wanted.start - first, len(wanted), own)
        damaged = buffer.ring.next_block != state["next_block"] or self.lost
        if damaged:
            # blocks are numbered anew, from where no part has a name
            buffer.ring.first_block = state["next_block"]
        self._saved = buffer.ring.first_block if damaged else state["next_block"]
        log.info("restored %d items of %d steps from %s", buffer.items, buffer.steps, self.folder)

    def _load(self, path: Path) -> Checkpoint | None:
        try:
            return load(path)
        except (OSError, ValueError, KeyError) as error:
            log.warning("part %s of the snapshot is damaged (%s): its items are lost", path, error)
            self.lost += 1
            return None

    def _parts(self) -> list[tuple[int, int, Path]]:
        """Return (first block, end, folder) of every part, in order."""
        found = []
        for path in self.folder.glob(f"{PART}*"):
            first, end = path.name.removeprefix(PART).split("-")
            found.append((int(first), int(end), path))
        return sorted(found)

    def _mark(self, buffer: ReplayBuffer, counters: Mapping[str, Any]) -> Mark:
        ring = buffer.ring
        first = max(self._saved, ring.first_block)
        blocks = [ring.blocks[i] for i in range(first - ring.first_block, len(ring.blocks))]
        assert buffer.schema is not None
        state = {
            "version": VERSION,
            "env": self._env,
            "schema": buffer.schema.plain(),
            "settings": _settings(buffer),
            "first_block": ring.first_block,
            "next_block": ring.next_block,
            "senders": {name: list(each) for name, each in buffer.senders.items()},
            "steps": buffer.steps,
            "doubles": buffer.doubles,
            "counters": dict(counters),
        }
        arrays = {
            "items": np.array([block.items for block in ring.blocks], dtype=np.int64),
            "priorities": buffer.sampler.priorities(ring.first_item, ring.next_item),
        }
        return Mark(ring.first_block, blocks, first, arrays, state)

    def _write(self, buffer: ReplayBuffer, mark: Mark) -> None:
        began = monotonic()
        if self.disk.attempt(f"the snapshot in {self.folder}", lambda: self._write_all(buffer, mark), every=0.0):
            self.took = monotonic() - began

    def _write_all(self, buffer: ReplayBuffer, mark: Mark) -> None:
        """Write parts with the new blocks, then the index, then remove what it does not need. Raises OSError."""
        number = mark.first_new
        for blocks in _runs(mark.blocks, buffer):
            self._write_part(buffer, number, blocks)
            number += len(blocks)
            self._saved = number
        self._number += 1
        write(self.folder, f"{INDEX}{self._number:012d}", Checkpoint(0, mark.arrays, mark.state))
        for path in sorted(self.folder.glob(f"{INDEX}*"))[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)
        for _, end, path in self._parts():
            if end <= self._needed:
                shutil.rmtree(path, ignore_errors=True)
        self._needed = mark.first_block

    def _write_part(self, buffer: ReplayBuffer, number: int, blocks: Sequence[Block]) -> None:
        """Write the part that begins with block `number`, of blocks that lie one after the other."""
        arrays = _copy(buffer, blocks)
        gone = min(len(blocks), max(0, buffer.ring.first_block - number))
        # what was dropped may have been written over while it was copied
        if gone < len(blocks):
            name = f"{PART}{number:015d}-{number + len(blocks):015d}"
            write(self.folder, name, Checkpoint(0, arrays, {"gone": gone}))


def _copy(buffer: ReplayBuffer, blocks: Sequence[Block]) -> dict[str, Array]:
    ring, first = buffer.ring, blocks[0]
    rows = slice(first.row, blocks[-1].row + blocks[-1].rows)
    items = np.arange(first.first_item, blocks[-1].first_item + blocks[-1].items)
    arrays = {f"rows.{name}": array[rows].copy() for name, array in ring.arrays.items()}
    arrays |= {f"states.{name}": array[items % ring.max_items] for name, array in buffer.states.items()}
    arrays["starts"] = ring.rows_of(items) - first.row
    arrays["blocks"] = np.array([[block.rows, block.items] for block in blocks], dtype=np.int64)
    return arrays


def _runs(blocks: Sequence[Block], buffer: ReplayBuffer) -> Iterator[Sequence[Block]]:
    """Yield `blocks` in groups of about PART_BYTES that lie one after the other."""
    row = sum(array[:1].nbytes for array in buffer.ring.arrays.values())
    begin = rows = 0
    for i, block in enumerate(blocks):
        apart = i > begin and block.row != blocks[i - 1].row + blocks[i - 1].rows
        if i > begin and (apart or rows * row >= PART_BYTES):
            yield blocks[begin:i]
            begin, rows = i, 0
        rows += block.rows
    if blocks:
        yield blocks[begin:]


def _append(buffer: ReplayBuffer, part: Checkpoint, skip: int, count: int, priorities: Array) -> None:
    """Append `count` blocks of a part after the first `skip`, with the priorities of their items."""
    arrays, row, item, done = part.arrays, 0, 0, 0
    for i, (rows, items) in enumerate(arrays["blocks"][: skip + count]):
        if i >= max(skip, part.state["gone"]):
            starts = arrays["starts"][item : item + items] - row
            own = {name: arrays[f"rows.{name}"][row : row + rows] for name in buffer.ring.arrays}
            states = {name: arrays[f"states.{name}"][item : item + items] for name in buffer.states}
            buffer.append(own, starts, states, priorities[done : done + items])
        done += int(items) * (i >= skip)
        row, item = row + int(rows), item + int(items)


def _settings(buffer: ReplayBuffer) -> dict[str, Any]:
    """Return the settings on which the meaning of rows and items depends."""
    settings = buffer.settings
    return {
        "n_step": settings.n_step,
        "gamma": settings.gamma,
        "sequence_length": settings.replay.sequence_length,
        "sequence_overlap": settings.replay.sequence_overlap,
    }


def _unfit(state: Mapping[str, Any], buffer: ReplayBuffer, env: str) -> str:
    """Return in words why a snapshot is not for this buffer and environment; empty where it is."""
    if state.get("version") != VERSION:
        return f"is of version {state.get('version')}, this surreal reads {VERSION}"
    if (other := state.get("env", env)) != env:
        return f"is of the environment {other!r}, now it is {env!r}"
    for name, value in _settings(buffer).items():
        if state["settings"].get(name) != value:
            return f"was made with {name}: {state['settings'].get(name)}, now it is {value}"
    return ""


def _schema(plain: Mapping[str, Any]) -> Schema:
    def fields(kind: str) -> dict[str, Field]:
        found = plain[kind].items()
        return {name: Field(np.dtype(dtype), tuple(shape), stack) for name, (dtype, shape, stack) in found}

    return Schema(fields("observations"), fields("steps"))
