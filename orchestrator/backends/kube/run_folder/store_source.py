"""The run folder in an object store, read from here with the user's own credentials."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TypeVar

from surreal.orchestrator.backends.kube.run_folder.folder import File
from surreal.protocol.errors import SurrealError
from surreal.protocol.worker.object_store import ObjectStore

T = TypeVar("T")


class StoreFiles:
    """A `folder.Source` below a URL that fsspec knows, such as s3://bucket/folder."""

    def __init__(self, url: str) -> None:
        self._url = url

    def files(self, prefix: str) -> Sequence[File]:
        """See `folder.Source`."""
        return self._try(lambda: [File(*each) for each in self._store.find(prefix)])

    def parts(self, wanted: Sequence[tuple[str, int, int]]) -> list[bytes | None]:
        """See `folder.Source`."""
        return self._try(lambda: [self._store.part(*each) for each in wanted])

    def close(self) -> None:
        """See `folder.Source`."""

    @cached_property
    def _store(self) -> ObjectStore:
        return ObjectStore(self._url)

    def _try(self, read: Callable[[], T]) -> T:
        """Return what `read` returns. Raises SurrealError, with what this machine may lack, for the store's errors."""
        try:
            return read()
        except SurrealError as error:
            raise SurrealError(
                f"{self._url}: cannot read it from here: {error}. "
                "Give this machine the credentials and the route that the pods have."
            ) from None
