"""Settings of replay, and the role and channels that an algorithm adds to its graph to have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any, Self

from pydantic import Field

from surreal.algorithms.algorithm import Config, Count, Share
from surreal.protocol.documents.effects import SOME, Only
from surreal.protocol.graph import Role, Service, Stream

Natural = Annotated[int, Field(ge=0)]

REPLAY = Role(
    "replay",
    run="surreal.algorithms.replay.role:replay",
    scalable=True,
    memory="3Gi",
    fills_memory=True,
    keeps_snapshots=True,
)
"""A shard. Its memory is the budget of its rows and of SPARE_BYTES besides."""
EXPERIENCE = Stream("experience", frm="actor", to="replay", window=4, finite=True)
SAMPLE = Service("sample", frm="learner", to="replay", window=16)
PRIORITIES = Stream("priorities", frm="learner", to="replay", window=64, lossy=True)
SPARE_BYTES = 256 * 2**20
"""Memory of a shard beside its rows: the interpreter, messages on their way, a piece of a snapshot."""


class ReplayConfig(Config):
    """Settings of the replay role, the field `replay` of an algorithm's config."""

    only = [
        Only("importance_exponent", where={"priority_exponent": SOME}),
        Only("sequence_overlap", where={"sequence_length": SOME}),
        Only("snapshot_folder", where={"snapshot_seconds": SOME}),
    ]

    capacity: Count = 1_000_000
    """Steps that are kept, all shards together; the oldest fragments make room for new ones."""
    min_size: Count = 1_000
    """Steps before the first batch, all shards together."""
    slack: Natural = 0
    """Batches by which sampling may be ahead of or behind updates_per_step; 0 chooses it."""
    priority_exponent: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Alpha of prioritized replay (Schaul et al. 2016); 0 samples uniformly."""
    importance_exponent: Share = 0.4
    """Beta of the importance weights, unless the learner says another."""
    sequence_length: Natural = 0
    """Steps of an item; 0 for single transitions."""
    sequence_overlap: Natural = 0
    """Steps that an item shares with the one before."""
    prefetch: Annotated[int, Field(ge=1, le=12)] = 4
    """Batches that the learner has asked for ahead."""
    snapshot_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Time between two snapshots of a shard, which is what its death may lose; 0 for none."""
    snapshot_folder: str = ""
    """Folder of the snapshots, a subfolder for each shard; empty for the run folder, which only local runs share."""


@dataclass(frozen=True)
class ReplaySettings:
    """Settings of one run, from its algorithm's config, for the shards and the learner's client."""

    replay: ReplayConfig
    batch: int = 256
    """Items of a batch."""
    n_step: int = 1
    gamma: float = 0.99
    updates_per_step: float | None = None
    """Batches for each environment step; None for no limit."""
    shards: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any], shards: int) -> Self:
        """Return the settings in the config of an algorithm: its field `replay`, and the fields named as these."""
        own = {name: config[name] for name in ("batch", "n_step", "gamma", "updates_per_step") if name in config}
        return cls(ReplayConfig.model_validate(config.get("replay", {})), shards=shards, **own)

    @property
    def capacity(self) -> int:
        """Steps of one shard."""
        return ceil(self.replay.capacity / self.shards)

    @property
    def min_size(self) -> int:
        """Steps that one shard needs before it answers."""
        return min(ceil(self.replay.min_size / self.shards), self.capacity)

    @property
    def prioritized(self) -> bool:
        """True where items have priorities."""
        return self.replay.priority_exponent > 0

    @property
    def samples_per_step(self) -> float | None:
        """Items that are sampled for each step inserted; None for no limit."""
        return None if self.updates_per_step is None else self.updates_per_step * self.batch

    @property
    def length(self) -> int:
        """Steps of an item."""
        return max(1, self.replay.sequence_length)

    @property
    def stride(self) -> int:
        """Steps from the begin of an item to that of the next one."""
        return max(1, self.length - self.replay.sequence_overlap)
