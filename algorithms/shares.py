"""Where a role's time goes."""

import time


class Shares:
    """Where a role's time goes: seconds per activity, read as shares of the time between two readings."""

    def __init__(self, *activities: str) -> None:
        self._seconds = dict.fromkeys(activities, 0.0)
        self._since = time.perf_counter()

    def add(self, activity: str, seconds: float) -> None:
        """Count `seconds` of `activity`."""
        self._seconds[activity] += seconds

    def read(self) -> dict[str, float]:
        """`share_NAME` -> share of the wall clock since the last reading; starts anew."""
        now = time.perf_counter()
        elapsed, self._since = max(now - self._since, 1e-9), now
        shares = {f"share_{name}": seconds / elapsed for name, seconds in self._seconds.items()}
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        return shares
