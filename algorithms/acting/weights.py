"""Message of the channel `weights`: the policy's parameters and the observation statistics of one version."""

from dataclasses import dataclass

from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.wire.packet import Message, Version


@dataclass(frozen=True)
class Weights:
    """One version of the policy as its readers see it."""

    version: Version
    """(incarnation of the learner, number of its updates)."""
    parameters: Array
    """float32 [size], as the layout of the network has them."""
    standardize: Standardizer
    """Observation statistics that belong to these parameters."""
    steps: int
    """Environment steps that led to this version."""
    final: bool
    """No later version will follow."""

    def publish(self, channel: Publisher) -> None:
        """Send this version to all actors and the evaluator."""
        arrays = {"parameters": self.parameters, **self.standardize.arrays()}
        channel.publish(arrays, {"steps": self.steps, "final": self.final}, self.version[1])

    @classmethod
    def read(cls, message: Message) -> "Weights":
        """Return the weights that `publish` sent as `message`."""
        arrays, meta = message.arrays, message.meta
        standardize = Standardizer.load(arrays)
        return cls(message.version, arrays["parameters"], standardize, meta["steps"], meta["final"])
