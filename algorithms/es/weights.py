"""Message of the channel `weights`: one generation's policy, its statistics and what to evaluate around it."""

from dataclasses import asdict, dataclass

from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.wire.packet import Message, Version


@dataclass(frozen=True)
class Orders:
    """Request of a generation to the workers."""

    pairs: int
    """Mirrored pairs of the generation."""
    chunk: int
    """Pairs in a chunk."""
    fixed: bool
    """A fixed set of pairs, each of which is waited for; otherwise the first that come."""
    sigma: float
    cap: int
    """Steps after which an episode is cut."""
    max_staleness: int
    """Generations that a result may be late."""
    noise: int
    """Checksum of the noise table."""

    @property
    def chunks(self) -> int:
        """Chunks of a fixed generation; the last one may be smaller."""
        return -(-self.pairs // self.chunk)


@dataclass(frozen=True)
class Weights:
    """One generation as its readers see it."""

    version: Version
    """(incarnation of the master, generation)."""
    parameters: Array
    standardize: Standardizer
    orders: Orders
    steps: int
    """Environment steps that led to it."""
    final: bool
    """No later version will follow."""

    @property
    def generation(self) -> int:
        """Return its number."""
        return self.version[1]

    def publish(self, channel: Publisher) -> None:
        """Send this generation to all workers and the evaluator."""
        arrays = {"parameters": self.parameters, **self.standardize.arrays()}
        meta = {"steps": self.steps, "final": self.final, "orders": asdict(self.orders)}
        channel.publish(arrays, meta, self.generation)

    @classmethod
    def read(cls, message: Message) -> "Weights":
        """Return the weights that `publish` sent as `message`."""
        arrays, meta = message.arrays, message.meta
        standardize, orders = Standardizer.load(arrays), Orders(**meta["orders"])
        return cls(message.version, arrays["parameters"], standardize, orders, meta["steps"], meta["final"])
