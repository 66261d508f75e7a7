"""Trouble that lasts, for a log: told when it begins, and once a minute from then on."""

import time
from collections.abc import Callable

SAY_AGAIN_S = 60.0
"""Seconds between two words on the same trouble."""


class Trouble:
    """Trouble of one thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._said, self._at = "", float("-inf")

    def say(self, text: str) -> None:
        """Tell a sentence, unless it was told just now."""
        now = time.monotonic()
        if text != self._said or now - self._at >= SAY_AGAIN_S:
            self._said, self._at = text, now
            self._tell(text)
