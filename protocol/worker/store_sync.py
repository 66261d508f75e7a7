"""Keeping the copy of the run folder in the store up to date, in a thread of its own: a store that fails or is slow
never stops the training, which says so and tries again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from surreal.protocol.transport.stats import moved
from surreal.protocol.worker.object_store import CHECKPOINTS, KEPT, MANIFEST, ObjectStore, StoreError

log = logging.getLogger("surreal")

SYNC_INTERVAL_S = 15.0
"""Seconds between two looks at what is new."""
BYTES_PER_SECOND = 1024 * 1024
"""A file that grows is stored as a whole each time, so a large one less often."""
FINAL_SYNC_TIMEOUT_S = 300.0
"""Seconds for which the end of a run tries to store its results."""
RETRY_AFTER_S = 2.0
CHANNELS = "channels.json"

FileStamp = tuple[int, int, int]
"""Parts that change with a file: inode, time, bytes."""


class StoreSync:
    """The thread that stores what is new in `folder`."""

    def __init__(
        self, store: ObjectStore, folder: Path, same: set[str], report: Callable[[dict[str, float]], None]
    ) -> None:
        """Begin to store. `same` are the files that need not be stored. `report` gets gauges."""
        self._store, self._folder, self._report = store, folder, report
        self._stored: dict[str, tuple[FileStamp, float]] = {name: (_stamp(folder / name), 0.0) for name in same}
        self._failures = 0
        self._closing = threading.Event()
        self.complete = False
        """True at the end if everything is stored."""
        self._thread = threading.Thread(target=self._run, name="surreal-store", daemon=True)
        self._thread.start()

    def close(self, give_up: Callable[[], bool]) -> bool:
        """Store the rest, trying again until `give_up()`; return True if all is stored."""
        self._closing.set()
        while self._thread.is_alive() and not give_up():
            self._thread.join(0.1)
            moved()
        return self.complete

    def _run(self) -> None:
        while not self._closing.wait(SYNC_INTERVAL_S):
            self._sync(last=False)
        deadline = time.monotonic() + FINAL_SYNC_TIMEOUT_S
        while not (complete := self._sync(last=True)) and time.monotonic() < deadline:
            time.sleep(RETRY_AFTER_S)
        self.complete = complete

    def _sync(self, last: bool) -> bool:
        """Store what is new; return False where that failed."""
        try:
            for name in self._changed_files(last):
                self._upload(name)
            self._upload_checkpoints()
        except (StoreError, OSError) as error:
            self._failures += 1
            log.warning("%s; the run goes on, and tries again (%d failures so far)", error, self._failures)
        except Exception:
            self._failures += 1
            log.exception("internal error while storing the run folder")
        else:
            return True
        finally:
            self._report({"store_failures": self._failures})
        return False

    def _changed_files(self, last: bool) -> list[str]:
        """Return the files that have changed and are due; with `last`, all that have changed."""
        now, names = time.monotonic(), [CHANNELS]
        for part in KEPT:
            if part != CHECKPOINTS and (self._folder / part).is_dir():
                names += [f"{part}/{entry.name}" for entry in os.scandir(self._folder / part) if entry.is_file()]
        due = []
        for name in names:
            stamp, (before, at) = _stamp(self._folder / name), self._stored.get(name, (_NONE, -SYNC_INTERVAL_S))
            if stamp not in (before, _NONE) and (last or now - at >= stamp[2] / BYTES_PER_SECOND):
                due.append(name)
        return due

    def _upload(self, name: str) -> None:
        stamp = _stamp(self._folder / name)  # before: what is written meanwhile is new
        self._store.put(name, self._folder / name)
        self._stored[name] = (stamp, time.monotonic())

    def _upload_checkpoints(self) -> None:
        """Store the new ones, then remove those that were pruned here."""
        folder = self._folder / CHECKPOINTS
        here = {entry.name for entry in folder.iterdir() if entry.name[0] != "."} if folder.is_dir() else set()
        for name in sorted(here):
            self._upload_checkpoint(name)
        stored = {each.split("/")[1] for each in self._stored if each.startswith(f"{CHECKPOINTS}/")}
        for name in stored - here:
            self._store.remove_checkpoint(name)
            self._forget(name)

    def _upload_checkpoint(self, name: str) -> None:
        """Upload a checkpoint, its manifest last. Remove the manifest of an earlier one of that name first."""
        folder = self._folder / CHECKPOINTS / name
        manifest, stamp = f"{CHECKPOINTS}/{name}/{MANIFEST}", _stamp(folder / MANIFEST)
        if stamp == _NONE or self._stored.get(manifest, (_NONE, 0.0))[0] == stamp:
            return
        try:
            content = (folder / MANIFEST).read_bytes()
            self._store.remove(manifest)
            for entry in os.scandir(folder):
                if entry.name != MANIFEST:
                    self._upload(f"{CHECKPOINTS}/{name}/{entry.name}")
        except FileNotFoundError:  # pruned meanwhile
            return
        if _stamp(folder / MANIFEST) == stamp:  # else what was stored may be of two
            self._store.put_bytes(manifest, content)
            self._stored[manifest] = (stamp, time.monotonic())

    def _forget(self, checkpoint: str) -> None:
        gone = f"{CHECKPOINTS}/{checkpoint}/"
        self._stored = {name: kept for name, kept in self._stored.items() if not name.startswith(gone)}


_NONE: FileStamp = (0, 0, 0)


def _stamp(path: Path) -> FileStamp:
    """Return the stamp of a file; _NONE for a file that is not there."""
    try:
        status = path.stat()
    except OSError:
        return _NONE
    return status.st_ino, status.st_mtime_ns, status.st_size
