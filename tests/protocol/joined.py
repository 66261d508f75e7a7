"""Process of a run, joined in the test's own interpreter."""

from typing import Any

from surreal.protocol.wiring import Wiring
from surreal.protocol.worker.process import Process
from surreal.protocol.worker.session import Session


class Joined(Process):
    """A Process with its session. Use it as a context manager."""

    def __init__(self, wiring: Wiring) -> None:
        self.session = Session(wiring)
        super().__init__(self.session)

    def __enter__(self) -> "Joined":
        return self

    def __exit__(self, *error: Any) -> None:
        self.session.close()
