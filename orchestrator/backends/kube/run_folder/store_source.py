"""The run folder in an object store, read from here with the user's own credentials.

The only module of the orchestrator that imports `fsspec`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from surreal.orchestrator.backends.kube.run_folder.folder import File
from surreal.protocol.errors import SurrealError

MODIFIED = ("LastModified", "mtime", "updated", "last_modified", "created")
"""Stores' names for the time of the last change."""


class StoreFiles:
    """A `files.Source` below a URL that fsspec knows, such as s3://bucket/folder."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: tuple[Any, str] | None = None

    def files(self, prefix: str) -> Sequence[File]:
        """See `files.Source`."""
        system, root = self._open()
        # another process may have written since the last look
        system.invalidate_cache()
        start = f"{root}/{prefix.rpartition('/')[0]}".rstrip("/")
        found = self._try(lambda: system.find(start, detail=True))
        files = [File(path[len(root) + 1 :], int(each["size"] or 0), _modified(each)) for path, each in found.items()]
        return [file for file in files if file.name.startswith(prefix)]

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """See `files.Source`."""
        return [self._part(*each) for each in wanted]

    def close(self) -> None:
        """See `files.Source`."""

    def _part(self, name: str, offset: int, length: int) -> bytes | None:
        system, root = self._open()
        path = f"{root}/{name}"
        try:
            size = int(self._try(lambda: system.size(path)) or 0)
            start = offset if offset >= 0 else max(0, size + offset)
            return bytes(self._try(lambda: system.cat_file(path, start=start, end=min(size, start + length))))
        except FileNotFoundError:
            return None

    def _open(self) -> tuple[Any, str]:
        if not self._opened:
            from fsspec.core import url_to_fs

            system, root = self._try(lambda: url_to_fs(self._url))
            self._opened = system, str(root).rstrip("/")
        return self._opened

    def _try(self, call: Callable[[], Any]) -> Any:
        """Return the result of `call`. Raises FileNotFoundError, and SurrealError for the store's own errors."""
        try:
            return call()
        except FileNotFoundError:
            raise
        except ImportError as error:
            raise SurrealError(f"cannot read {self._url} from here: {error}") from None
        except Exception as error:
            raise SurrealError(
                f"cannot read {self._url} from here: {error}; your machine may lack "
                "credentials or a route that the pods have"
            ) from None


def _modified(entry: dict[str, Any]) -> float:
    """Return the time of an object's last change in seconds; 0 where the store does not say."""
    told = next((entry[key] for key in MODIFIED if key in entry), 0.0)
    if isinstance(told, str):
        told = datetime.fromisoformat(told)
    return float(told.timestamp() if isinstance(told, datetime) else told)
