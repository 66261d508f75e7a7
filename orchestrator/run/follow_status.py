"""Statuses of a run, one after the other, over outages of the place where it runs."""

import time
from collections.abc import Callable, Iterator

from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import Unreachable

PATIENCE_S = 900.0
"""Seconds that a place may be away: upgrades of a control plane take minutes."""

TIDY_S = 60.0
"""Seconds between two calls of `tidy`."""


def follow_status(
    probe: Callable[[], Status],
    interval: float,
    notify: Callable[[str], None],
    deadline: float | None = None,
    patience: float = PATIENCE_S,
    tidy: Callable[[], object] | None = None,
    eager: bool = False,
) -> Iterator[Status]:
    """Yield what `probe` returns, every `interval` seconds, until the run is over.

    An `eager` one looks more often at the beginning, when most runs fail that do: that costs little on this machine.
    While the place cannot be reached, nothing is yielded and `notify` is told once. `deadline` is a moment of
    time.monotonic() at which the iterator ends. `tidy` is called every minute while the run goes on.
    Raises Unreachable after `patience` seconds without an answer. That says nothing about the run.
    """
    away_since: float | None = None
    began = tidied = time.monotonic()
    while True:
        try:
            status = probe()
        except Unreachable as error:
            now = time.monotonic()
            if away_since is None:
                away_since = now
                notify(f"{error}; the run itself goes on, trying again for {patience / 60:.0f} min")
            if now - away_since > patience:
                raise Unreachable(f"{error}; no answer for {patience / 60:.0f} min. The run itself goes on.") from None
        else:
            if away_since is not None:
                notify("the run can be seen again")
            away_since = None
            yield status
            if status.over:
                return
            if tidy and time.monotonic() - tidied >= TIDY_S:
                tidied = time.monotonic()
                tidy()
        if deadline is not None and time.monotonic() >= deadline:
            return
        pause = min(interval, max(interval / 10, (time.monotonic() - began) / 20)) if eager else interval
        time.sleep(pause if deadline is None else max(0.0, min(pause, deadline - time.monotonic())))
