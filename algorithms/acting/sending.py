"""Way of an actor's fragments out of its process: what is refused counts, and times are reported."""

from collections.abc import Callable, Mapping
from time import perf_counter

from surreal.algorithms.acting.actors import Refusals
from surreal.algorithms.recording.reports import Shares
from surreal.protocol.profiling.spans import COMMUNICATION, operation
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.worker.process import Process

REPORT_EVERY, REFUSED_EVERY = 5.0, 0.5
"""Seconds between two reports of time shares, and of refused fragments."""


class FragmentSending:
    """Counts of refused fragments and shares of time of one actor, reported over the stream `metrics`.

    An algorithm adds the streams that its fragments take.
    """

    def __init__(self, process: Process, environment: str, most_refusals: int, restart: Callable[[], None]) -> None:
        """Take `most_refusals` in a row as the sign of a broken `environment`.

        `restart` begins new episodes in all its copies.
        """
        self._metrics, self._reported, self._session = process.sender("metrics"), perf_counter(), process.session
        self._refusals, self._told = Refusals(environment, most_refusals, restart), 0
        self._shares = Shares("waiting", "acting", "environment", "sending")

    @property
    def refused(self) -> int:
        """Fragments that were refused so far, each with new episodes in all copies after it."""
        return self._refusals.total

    def delivered(self, send: Callable[[], object]) -> bool:
        """Call `send` and return True; count and drop what would poison the learner: NaN and infinity.

        Raises Fatal where too many fragments in a row were refused, and what `send` raises otherwise.
        """
        try:
            with operation("send", COMMUNICATION):
                send()
        except NotFiniteError as error:
            self._refusals.refuse(error)
            return False
        self._refusals.sent()
        self._session.sent()
        return True

    def report(self, seconds: Mapping[str, float], more: Mapping[str, float] | None = None) -> None:
        """Note where the time of a turn went; report it every few seconds, with what else there is to say."""
        for name, spent in seconds.items():
            self._shares.add(name, spent)
        refused = self.refused
        if perf_counter() - self._reported > (REPORT_EVERY if refused == self._told else REFUSED_EVERY):
            row = {**self._shares.read(), "refused_fragments": refused, **(more or {})}
            self._told = refused
            self._metrics.send({}, row)
            self._reported = perf_counter()
