"""Retries of requests to the API server, and the waits before them.

Every request may be repeated, even one that was carried out. Objects have fixed names, so a second POST of the same
object is answered with AlreadyExists. All other requests name the state to reach and not a thing to add.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from surreal.protocol.errors import Unreachable
from surreal.provisioner.kube.errors import CONFLICT, TOO_MANY, ApiError

Answer = TypeVar("Answer")

TRIES = {TOO_MANY: 20, CONFLICT: 5}
OTHER_TRIES = 6
"""Times that a request is sent in all. Each kind of trouble has its own count."""
BUSY_SECONDS, DOWN_SECONDS = 300.0, 60.0
"""Seconds of retries when the server asks to slow down, and when it is not well."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
CONFLICT_WAIT = 0.01
"""Seconds; they double with each try."""
SAY_AGAIN_S = 60.0
"""Seconds after which a trouble that lasts is said once more."""
JITTER = 0.25
"""Added to each wait, at most: a thousand clients shall not come back at once."""


class BusyError(ApiError, Unreachable):
    """The server is overloaded, gone or not well: the same request may go through later."""

    wait: float = 0.0
    """Seconds that the server asks for."""


class Retries:
    """Sends requests until one goes through."""

    def __init__(self, talk: Callable[[str], None], pause: Callable[[float], None]) -> None:
        self._talk, self._pause = talk, pause
        self._told: dict[int, float] = {}
        """Status -> when it was said last, monotonic; all threads of a client share one outage."""
        self._recovered_at = time.monotonic()
        self._lock = threading.Lock()
        self.longest = BUSY_SECONDS
        """Seconds of retries at most; a caller that comes again by itself has fewer."""
        self.doing = ""
        """The work under way, for the user who waits: `7 of 12 objects created`."""

    def call(self, send: Callable[[], Answer], versioned: bool = False) -> Answer:
        """Return the answer of `send`. Raises the last ApiError when more tries are of no use.

        A request that is `versioned` asks for one version of an object: a conflict is its answer.
        """
        troubles: dict[int, _Trouble] = {}
        while True:
            began = time.monotonic()
            try:
                answer = send()
                self._recovered()
                return answer
            except ApiError as error:
                trouble = troubles.setdefault(error.status, _Trouble(error.status, self.longest))
                wait = trouble.again(error)
                if trouble.hopeless or not _transient(error) or (versioned and error.status == CONFLICT):
                    raise
                self._tell(error, began)
                self._pause(wait)

    def _tell(self, error: ApiError, began: float) -> None:
        """Say a trouble once for all requests that have it, and again only where it lasts.

        A request that began before another one went through has met the end of that outage, and no new one.
        """
        now = time.monotonic()
        with self._lock:
            if began < self._recovered_at and error.status != TOO_MANY:
                return
            if error.status == CONFLICT or now - self._told.get(error.status, -SAY_AGAIN_S) < SAY_AGAIN_S:
                return
            self._told[error.status] = now
        what = "the API server asks to slow down" if error.status == TOO_MANY else str(error)
        limit = min(self.longest, _longest(error.status))
        self._talk(f"{what}; {self._progress()}retrying for up to {limit:.0f} s")

    def _recovered(self) -> None:
        """Take the next trouble for a new outage. A server that asks to slow down answers in between."""
        if self._told:
            with self._lock:
                self._told = {status: at for status, at in self._told.items() if status == TOO_MANY}
                self._recovered_at = time.monotonic()

    def _progress(self) -> str:
        return f"{self.doing}, " if self.doing else ""


class Complaint:
    """Trouble of one thread that lasts: told when it begins, and once a minute from then on."""

    def __init__(self, talk: Callable[[str], None]) -> None:
        self._talk = talk
        self._told, self._at = "", float("-inf")

    def say(self, text: str) -> None:
        """Tell a sentence, unless it was told just now."""
        now = time.monotonic()
        if text != self._told or now - self._at >= SAY_AGAIN_S:
            self._told, self._at = text, now
            self._talk(text)


class _Trouble:
    """One status that a request was answered with, again and again."""

    def __init__(self, status: int, longest: float) -> None:
        self.tries = 0
        self._limit = min(longest, _longest(status))
        self.allowed = TRIES.get(status, OTHER_TRIES)
        self._status, self._since, self._waited = status, time.monotonic(), 0.0

    def again(self, error: ApiError) -> float:
        """Return the seconds to wait before the next try."""
        self.tries += 1
        first = CONFLICT_WAIT if self._status == CONFLICT else FIRST_WAIT
        asked = error.wait if isinstance(error, BusyError) else 0.0
        wait = max(asked, min(LONGEST_WAIT, first * 2.0 ** (self.tries - 1))) * random.uniform(1, 1 + JITTER)
        self._waited += wait
        return wait

    @property
    def hopeless(self) -> bool:
        """True after enough tries or enough time."""
        waited = max(self._waited, time.monotonic() - self._since)
        return self.tries >= self.allowed or waited > self._limit


def _longest(status: int) -> float:
    return BUSY_SECONDS if status == TOO_MANY else DOWN_SECONDS


def _transient(error: ApiError) -> bool:
    return isinstance(error, BusyError) or (
        error.status == CONFLICT and error.reason == "Conflict" and not _owned(error)
    )


def _owned(error: ApiError) -> bool:
    """Return whether a field belongs to another client, which no retry changes."""
    causes = (error.body.get("details") or {}).get("causes") or ()
    return any(cause.get("reason") == "FieldManagerConflict" for cause in causes)
