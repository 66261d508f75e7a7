"""What travels on `weights`: one generation's policy, its observation statistics, and what to evaluate."""

from dataclasses import asdict, dataclass

from surreal.algorithms.normalizers import Standardizer
from surreal.algorithms.types import Array
from surreal.protocol.broadcast.publisher import Publisher
from surreal.protocol.wire.packet import Message


@dataclass(frozen=True)
class Orders:
    """What a generation asks of the workers."""

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

    version: tuple[int, int]
    """(incarnation of the master, generation)."""
    parameters: Array
    standardize: Standardizer
    orders: Orders
    steps: int
    """Environment steps that led to it."""
    final: bool
    """None will follow."""

    @property
    def generation(self) -> int:
        """Its number."""
        return self.version[1]


def publish(channel: Publisher, weights: Weights) -> None:
    """Send `weights` to all workers and the evaluator."""
    standardize = weights.standardize
    arrays = {"parameters": weights.parameters, "shift": standardize.shift, "scale": standardize.scale}
    meta = {"steps": weights.steps, "final": weights.final, "orders": asdict(weights.orders)}
    channel.publish(arrays, meta, weights.generation)


def read(message: Message) -> Weights:
    """What `publish` sent."""
    arrays, meta = message.arrays, message.meta
    standardize = Standardizer(arrays["shift"], arrays["scale"])
    orders = Orders(**meta["orders"])
    return Weights(message.version, arrays["parameters"], standardize, orders, meta["steps"], meta["final"])
