"""The run folder's copy in an object store, or wherever else fsspec writes: what a resume in another pod needs.

The layout is that of the run folder. A checkpoint is there once its manifest is, which is written last and removed
first; everything else is written as a whole.
"""

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple, TypeVar

from surreal.protocol.errors import Fatal, SurrealError

log = logging.getLogger("surreal")
T = TypeVar("T")

CHECKPOINTS, MANIFEST = "checkpoints", "manifest.json"
KEPT = (CHECKPOINTS, "metrics", "logs")
"""The folders that a run goes on from."""
MAX_FILES = 50_000
MAX_BYTES = 100 * 1024**3
"""The most that is fetched."""
BLOCK_BYTES = 2**22
"""Bytes that are fetched at once where reads are scattered; 32 such blocks stay. s3fs would fetch 50 MiB for each."""
CONNECT_TIMEOUT_S = 60.0
"""Seconds for which a start tries to reach the store."""
RETRY_AFTER_S = 3.0
PROBE = ".surreal-probe"
_NEVER = (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError)
"""Errors that trying again does not mend."""
MODIFIED = ("LastModified", "mtime", "updated", "last_modified", "created")
"""Stores' names for the time of the last change."""


class StoreError(SurrealError):
    """The store did not do what it was asked to; it may the next time."""


class StoredFile(NamedTuple):
    """One file of a store."""

    name: str
    """Its path in the run folder."""
    size: int
    modified: float
    """Seconds since 1970; 0 where the store does not say."""


class ObjectStore:
    """Files at a URL, named by their paths in the run folder. Any thread may use it, one at a time."""

    def __init__(self, url: str) -> None:
        """Parse the URL. Raises Fatal if no installed package speaks its protocol."""
        import fsspec  # takes long, and few ask for it

        self.url = url.rstrip("/")
        try:
            self._fs, root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise Fatal(f"{url}: a package is missing here: {error}. Install it, for pods into the image.") from None
        except ValueError as error:
            raise Fatal(f"{url}: is no place for a run: {error}. Correct spec.storage.url.") from None
        self._root = str(root).rstrip("/")
        named = self._fs.protocol
        # objects appear as a whole, files grow
        self._grows = "file" in ([named] if isinstance(named, str) else named)

    def connect(self) -> None:
        """See that it can be written, trying for up to CONNECT_TIMEOUT_S. Raises Fatal where it will never be, else
        StoreError."""
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            try:
                self._try("write to", lambda: self._write(PROBE, b"surreal\n"))
                self.remove(PROBE)
                return
            except StoreError as error:
                if isinstance(error.__cause__, _NEVER):
                    raise Fatal(f"spec.storage.url: {error}. Correct it, or let this pod write there.") from None
                if time.monotonic() >= deadline:
                    raise
                log.warning("%s; trying on", error)
                time.sleep(RETRY_AFTER_S)

    def files(self) -> dict[str, int]:
        """Return name -> bytes of all files that a run may go on from. Raises StoreError."""
        return {each.name: each.size for each in self.find() if _is_ours(each.name)}

    def find(self, prefix: str = "") -> Iterator[StoredFile]:
        """Yield all files whose names begin with `prefix`. Raises StoreError."""
        # Another process may have written since the last look.
        self._fs.invalidate_cache()
        start = self._place(prefix.rpartition("/")[0]).rstrip("/")
        found = self._try("list", lambda: self._fs.find(start, detail=True))
        for path, info in found.items():
            name = str(path)[len(self._root) :].strip("/")
            if name.startswith(prefix):
                yield StoredFile(name, int(info["size"] or 0), _modified(info))

    def get(self, name: str, path: Path) -> None:
        """Fetch a file; `path` appears as a whole."""
        part = path.with_name(f".{path.name}.part")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._try("read", lambda: self._fs.get_file(self._place(name), str(part)))
        os.replace(part, path)

    def read(self, name: str, limit: int) -> bytes:
        """Return the first `limit` bytes of a file. Raises StoreError; Fatal where it is not there or not for us."""

        def start() -> bytes:
            with self._fs.open(self._place(name), "rb") as file:
                return bytes(file.read(limit))

        try:
            return self._try("read", start)
        except StoreError as error:
            never = isinstance(error.__cause__, _NEVER)
            raise (Fatal(f"{name}: {error}. Look there what is left.") if never else error) from None

    def open(self, name: str, scattered: bool = False) -> BinaryIO:
        """Open a file for reading at any place; only what is read is fetched, in blocks that stay where reads are
        `scattered`. Raises StoreError; Fatal where it is not for us; FileNotFoundError where it is not there."""
        more = {"cache_type": "blockcache", "block_size": BLOCK_BYTES} if scattered else {}
        try:
            opened: BinaryIO = self._try("read", lambda: self._fs.open(self._place(name), "rb", **more))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(f"{self.url}/{name}") from None
            never = isinstance(error.__cause__, _NEVER)
            raise (Fatal(f"{name}: {error}. Let this process read there.") if never else error) from None
        return opened

    def part(self, name: str, offset: int, length: int) -> bytes | None:
        """Return at most `length` bytes from `offset` (negative: from the end) of a file; None if it is not there."""
        place = self._place(name)
        try:
            size = int(self._try("read", lambda: self._fs.size(place)) or 0)
            start = offset if offset >= 0 else max(0, size + offset)
            end = min(size, start + length)
            return bytes(self._try("read", lambda: self._fs.cat_file(place, start=start, end=end)))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def put(self, name: str, path: Path) -> None:
        """Store a file. Raises FileNotFoundError where `path` has gone meanwhile."""
        try:
            self._try("write to", lambda: self._send(name, path))
        except StoreError:
            if not path.exists():
                raise FileNotFoundError(path) from None
            raise

    def put_bytes(self, name: str, data: bytes) -> None:
        """Store `data` as a file."""
        self._try("write to", lambda: self._write(name, data))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._try("remove from", lambda: self._fs.rm_file(self._place(name)))
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise

    def remove_checkpoint(self, name: str) -> None:
        """Remove a checkpoint, its manifest first."""
        self.remove(f"{CHECKPOINTS}/{name}/{MANIFEST}")
        for each in self.files():
            if each.startswith(f"{CHECKPOINTS}/{name}/"):
                self.remove(each)

    def _send(self, name: str, path: Path) -> None:
        self._whole(name, lambda place: self._fs.put_file(str(path), place))

    def _write(self, name: str, data: bytes) -> None:
        self._whole(name, lambda place: self._fs.pipe_file(place, data))

    def _whole(self, name: str, write: Callable[[str], Any]) -> None:
        """Write so that a reader sees the whole file or the earlier one, even if this process dies."""
        place = self._place(name)
        if not self._grows:
            write(place)
            return
        folder, _, last = place.rpartition("/")
        self._fs.makedirs(folder, exist_ok=True)
        part = f"{folder}/.{last}.part"
        write(part)
        os.replace(part, place)

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _try(self, verb: str, do: Callable[[], T]) -> T:
        """Call `do`; raise StoreError for any error, since every filesystem of fsspec has errors of its own."""
        try:
            return do()
        except Exception as error:
            text = str(error) or type(error).__name__
            raise StoreError(f"cannot {verb} {self.url}: {text[:300]}") from error


def _modified(info: dict[str, Any]) -> float:
    """Return the time of a file's last change in seconds; 0 where the store does not say."""
    told = next((info[key] for key in MODIFIED if key in info), 0.0)
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    return float(told.timestamp() if isinstance(told, datetime) else told)


def read_url(url: str, limit: int) -> bytes:
    """Return the first `limit` bytes at a URL. Raises StoreError, and Fatal if no other try would find it."""
    folder, _, name = url.rpartition("/")
    return ObjectStore(folder).read(name, limit)


def open_url(url: str, scattered: bool = False) -> BinaryIO:
    """Open a file at a URL for reading at any place; see ObjectStore.open. Raises as it does."""
    folder, _, name = url.rpartition("/")
    return ObjectStore(folder).open(name, scattered)


def fetch(store: ObjectStore, folder: Path) -> set[str]:
    """Bring what the store has of a run into its folder: checkpoints with a manifest, metrics, logs; the names of all
    files that are the same here and there. Removes what is left of checkpoints that never got their manifest.

    Raises StoreError; Fatal where there is more than a run can have made.
    """
    began, sizes = time.monotonic(), store.files()
    if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
        found = f"{len(sizes)} files of {sum(sizes.values())} bytes"
        raise Fatal(f"{store.url}: has {found}, which no run made. Name another folder.")
    whole = {_checkpoint(name) for name in sizes if name.endswith(f"/{MANIFEST}")}
    for name in [name for name in sizes if _checkpoint(name) not in whole | {""}]:
        store.remove(name)
        del sizes[name]
    for checkpoint in sorted(whole - {""}):
        _fetch_checkpoint(store, folder, checkpoint, [name for name in sizes if _checkpoint(name) == checkpoint])
    for name, size in sizes.items():
        path = folder / name
        if not _checkpoint(name) and not (path.exists() and path.stat().st_size >= size):
            store.get(name, path)
    if sizes:
        text = "fetched %d files, %.1f MB, from %s in %.1f s"
        log.info(text, len(sizes), sum(sizes.values()) / 1e6, store.url, time.monotonic() - began)
    return {name for name, size in sizes.items() if (folder / name).exists() and (folder / name).stat().st_size == size}


def _fetch_checkpoint(store: ObjectStore, folder: Path, checkpoint: str, names: list[str]) -> None:
    """Fetch a whole checkpoint or nothing of it."""
    final = folder / CHECKPOINTS / checkpoint
    if final.exists():
        return
    unfinished = final.with_name(f".unfinished-{checkpoint}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in names:
        store.get(name, unfinished / PurePosixPath(name).name)
    unfinished.rename(final)


def _checkpoint(name: str) -> str:
    """Return the checkpoint that a file belongs to; empty for none."""
    parts = PurePosixPath(name).parts
    return parts[1] if parts[0] == CHECKPOINTS else ""


def _is_ours(name: str) -> bool:
    """Return True if this is a file of a run folder. Other names are not followed anywhere."""
    parts = PurePosixPath(name).parts
    deep = 3 if parts[:1] == (CHECKPOINTS,) else 2
    return len(parts) == deep and parts[0] in KEPT and not any(part.startswith(".") for part in parts)
