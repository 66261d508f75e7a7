"""What can go wrong between us and an API server, as errors that a person understands."""

from surreal.orchestrator.kube.names import Object
from surreal.protocol.errors import NotFound, SurrealError


class ApiError(SurrealError):
    """The API server refused a request; the text is its own unless somebody says more."""

    def __init__(self, text: str, status: int = 0, body: Object | None = None) -> None:
        super().__init__(text)
        self.status = status
        """HTTP status; 0 when there was no answer."""
        self.body: Object = body or {}
        """The Status object that the server sent."""

    @property
    def reason(self) -> str:
        """`AlreadyExists`, `Conflict`, `Forbidden`...; empty where the server gave none."""
        return str(self.body.get("reason") or "")


class Absent(ApiError, NotFound):
    """There is no such object (or no such kind of objects)."""
