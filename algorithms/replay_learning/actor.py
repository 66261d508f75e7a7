"""Actor that fills replay: newest weights in, fragments and returns of episodes out. It never waits for learning."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from surreal.algorithms.acting.actors import Refusals
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.recording.reports import Shares
from surreal.algorithms.types import Array
from surreal.protocol.wire.limits import NotFiniteError
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

REPORT_EVERY = 5.0
"""Seconds between two reports of time shares."""
MOST_REFUSALS = 200
"""Refused fragments in a row after which the environment is taken for broken."""


@dataclass(frozen=True)
class Collected:
    """Steps of all copies one after another."""

    arrays: dict[str, Array]
    """observations [steps + 1, copies, ...], actions, rewards, terminated, truncated [steps, copies, ...], and `final`
    [cut, ...]: what the truncated episodes ended in, in the row-major order of `truncated`."""
    returns: Array
    """Returns of the episodes that ended, float64, in order."""
    lengths: Array
    """Their lengths, int64."""


class ReplayActor(ABC):
    """State of one actor process; an algorithm says how a fragment is collected."""

    def __init__(self, process: Process, environment: str, restart: Callable[[], None]) -> None:
        """Take `restart` as what begins new episodes in all copies of `environment`."""
        self.stopping = process.stopping.is_set
        self._weights, self._experience = process.subscriber("weights"), process.sender("experience")
        self._episodes, self._metrics = process.sender("episodes"), process.sender("metrics")
        self._reported = perf_counter()
        self._refusals = Refusals(environment, MOST_REFUSALS, restart)
        self._shares = Shares("waiting", "acting", "environment", "sending")

    @abstractmethod
    def collect(self, weights: Weights) -> Collected | None:
        """Return one fragment that was collected with `weights`; None once this process is to stop."""

    @property
    @abstractmethod
    def env_seconds(self) -> float:
        """Seconds in the environments so far."""

    def metrics(self) -> Mapping[str, float]:
        """Return what this actor reports of its exploration."""
        return {}

    def turn(self) -> None:
        """Take the newest weights, collect one fragment, send it."""
        start = perf_counter()
        message = self._weights.latest() or self._weights.wait()
        waited, inside = perf_counter(), self.env_seconds
        fragment = self.collect(Weights.read(message))
        acted = perf_counter()
        if fragment is None:
            return
        self._send(fragment, message.version)
        self._shares.add("waiting", waited - start)
        self._shares.add("acting", acted - waited)
        self._shares.add("environment", self.env_seconds - inside)
        self._shares.add("sending", perf_counter() - acted)
        self._report()

    def _send(self, fragment: Collected, version: Version) -> None:
        """Send the fragment, or count and drop what would poison the learner: NaN and infinity."""
        try:
            self._experience.send(fragment.arrays, {}, version)
        except NotFiniteError as error:
            self._refusals.refuse(error)
            return
        self._refusals.sent()
        if len(fragment.returns):
            self._episodes.send({"returns": fragment.returns, "lengths": fragment.lengths})

    def _report(self) -> None:
        """Report every few seconds where the time went."""
        if perf_counter() - self._reported > REPORT_EVERY:
            row = {**self._shares.read(), **self.metrics(), "refused_fragments": self._refusals.total}
            self._metrics.send({}, row)
            self._reported = perf_counter()
