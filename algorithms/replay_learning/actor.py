"""Actor that fills replay: newest weights in, fragments and returns of episodes out. It never waits for learning."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

from surreal.algorithms.acting.sending import FragmentSending
from surreal.algorithms.acting.weights import Weights
from surreal.algorithms.types import Array
from surreal.protocol.wire.packet import Version
from surreal.protocol.worker.process import Process

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


class ReplaySending(FragmentSending):
    """Way of an actor's fragments to replay, of the returns of its episodes to the learner, and its reports."""

    def __init__(self, process: Process, environment: str, restart: Callable[[], None]) -> None:
        """Take `restart` as what begins new episodes in all copies of `environment`."""
        super().__init__(process, environment, MOST_REFUSALS, restart)
        self._experience, self._episodes = process.sender("experience"), process.sender("episodes")

    def send(self, fragment: Collected, version: Version) -> None:
        """Send the fragment, or count and drop what would poison the learner."""
        if self.delivered(lambda: self._experience.send(fragment.arrays, {}, version)) and len(fragment.returns):
            self._episodes.send({"returns": fragment.returns, "lengths": fragment.lengths})


class ReplayActor(ABC):
    """State of one actor process with a policy of its own; an algorithm says how a fragment is collected."""

    def __init__(self, process: Process, environment: str, restart: Callable[[], None]) -> None:
        """Take `restart` as what begins new episodes in all copies of `environment`."""
        self.stopping, self._weights = process.stopping.is_set, process.subscriber("weights")
        self._sending = ReplaySending(process, environment, restart)

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
        self._sending.send(fragment, message.version)
        self._sending.report(
            {
                "waiting": waited - start,
                "acting": acted - waited,
                "environment": self.env_seconds - inside,
                "sending": perf_counter() - acted,
            },
            self.metrics(),
        )
