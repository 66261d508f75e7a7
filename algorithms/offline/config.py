"""Every hyperparameter of the algorithms that learn from datasets, its default and its bounds."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from surreal.algorithms.algorithm import NUMBERS, Config, Count, Positive, Share
from surreal.algorithms.replay.config import ReplayConfig, ReplaySettings
from surreal.protocol.documents.effects import SOME, Only

Natural = Annotated[float, Field(ge=0)]
Place = Annotated[str, Field(min_length=1, max_length=1000)]


class OfflineConfig(Config):
    """Hyperparameters that all have."""

    dataset: Place | Annotated[list[Place], Field(min_length=1, max_length=100)] = ""
    """Folder of a Minari dataset, `minari:ID`, an .hdf5 of D4RL's shape, or a URL of one; several are mixed. A relative
    path begins at the experiment file's folder."""
    skip_damaged: bool = False
    """Leave out episodes that make no sense, and say so in the log; by default the run ends at the first."""
    total_steps: Count = 100_000
    """Updates after which the run is done: no environment step is made but by the evaluator."""
    capacity: Count = 4_000_000
    """Steps held in memory, all shards together. A larger dataset streams through, each step drawn `reuse` times."""
    reuse: Positive = 16.0
    """Draws of a step before it makes room for others, where the dataset is larger than `capacity`."""
    prefetch: Annotated[int, Field(ge=1, le=12)] = 4
    """Batches that the learner has asked for ahead."""
    batch: Annotated[int, Field(ge=2, le=65_536)] = 256
    """Transitions of an update."""
    gamma: Share = 0.99
    """Discount."""

    hidden: Annotated[list[Count], Field(min_length=1, max_length=8)] = [256, 256]
    """Widths of the hidden ReLU layers, of actor and critics alike."""
    learning_rate: Positive = 3e-4
    """Adam's step size."""
    max_grad_norm: Positive | None = None
    """Clip the gradients' norms to this: the actor's, and that of all critics together."""
    normalize_observations: bool = True
    """Standardise observations by the mean and deviation of the first 65,536 that are drawn."""

    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads that share each batch, on a CPU. Give the learner as many cores, and BLAS one thread."""
    weights_every: Annotated[int, Field(ge=1, le=10_000)] = 50
    """Updates between two versions of the weights, of which the evaluator takes the newest."""
    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock."""
    evaluate_episodes: Count = 10
    """Deterministic episodes per evaluation."""
    evaluation_episode_cap: Count | None = None
    """An evaluation's episode is cut after so many steps; by default after 10,000 or the environment's own limit."""

    def replay(self, shards: int) -> ReplaySettings:
        """Return what the shards and the learner's client need to know."""
        held = ReplayConfig(capacity=self.capacity, min_size=1, prefetch=self.prefetch, snapshot_seconds=0)
        return ReplaySettings(held, self.batch, 1, self.gamma, None, shards)


class BCConfig(OfflineConfig):
    """Behaviour cloning: the mean square of the actions' differences, or the cross-entropy of choices."""


class ValuedConfig(OfflineConfig):
    """Hyperparameters of methods with critics."""

    only = [Only("threads", where={"device": ("auto", "cpu")})]

    target_share: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Share of the way that target networks move at a time (tau)."""
    layer_norm: bool = False
    """Layer norms in the critics."""
    critics: Annotated[int, Field(ge=1, le=64)] = 2
    """Number of critics, the smallest of whose values counts: the more, the more pessimistic (An et al. 2021)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device on which the learner computes; auto takes a GPU where there is one."""

    def lasting(self) -> dict[str, Any]:
        """See Config."""
        return {**super().lasting(), "layer_norm": self.layer_norm, "critics": self.critics}


class TD3BCConfig(ValuedConfig):
    """TD3+BC (Fujimoto & Gu 2021): TD3 whose actor is drawn towards the recorded actions. For Box actions."""

    only = [Only("target_clip", where={"target_noise": SOME})]

    alpha: Natural | None = 2.5
    """Weight of the value against that of the recorded action; null leaves the recorded actions out: plain TD3."""
    actor_every: Count = 2
    """Updates of the critics for each one of the actor; the targets move with it."""
    target_noise: Natural = 0.2
    """Standard deviation of the noise on the target's actions."""
    target_clip: Positive = 0.5
    """Largest such noise."""


class CQLConfig(ValuedConfig):
    """CQL (Kumar et al. 2020): SAC for Box actions, or double DQN for Discrete ones, whose critics are pushed down on
    actions that were not recorded."""

    only = [
        Only("actions", "actor_learning_rate", "critics", where=NUMBERS),
        Only("actions", where={"conservatism": SOME}),
    ]

    conservatism: Natural = 5.0
    """Weight of that push; 0 for plain SAC or DQN."""
    actions: Annotated[int, Field(ge=1, le=100)] = 10
    """Actions of each kind (random, present policy, next policy) that the push is averaged over; for Box actions."""
    actor_learning_rate: Positive = 1e-4
    """Adam's step size of the actor."""
    target_every: Count = 1
    """Updates between two moves of the target networks."""


class WeightedConfig(ValuedConfig):
    """Hyperparameters of methods that clone recorded actions by the weight of their advantage. For Box actions."""

    deviation: Positive = 0.2
    """Standard deviation of the policy, in halves of an action's range; it acts by its mean."""
    largest_weight: Positive = 100.0
    """Bound of the weights."""
    reward_scale: Positive = 1.0
    """Factor of the rewards, and so of advantages. IQL's own figures have 1,000 / (largest - smallest return)."""

    def lasting(self) -> dict[str, Any]:
        """See Config: the values are learned on that scale."""
        return {**super().lasting(), "reward_scale": self.reward_scale}


class IQLConfig(WeightedConfig):
    """IQL (Kostrikov et al. 2022): values by expectile regression, without an action that was not recorded."""

    expectile: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Expectile of the values over recorded actions: the higher, the nearer to the best of them."""
    temperature: Natural = 3.0
    """Inverse temperature: weight exp(temperature x advantage)."""


class AWACConfig(WeightedConfig):
    """AWAC (Nair et al. 2020): weight exp(advantage / multiplier), the advantage over an action of the policy."""

    multiplier: Positive = 1.0
    """Lagrange multiplier lambda."""


class CRRConfig(WeightedConfig):
    """CRR (Wang et al. 2020): weight exp(advantage / beta), or 1 for advantages above 0 alone."""

    only = [Only("beta", where={"binary": False})]

    beta: Positive = 1.0
    """Temperature."""
    binary: bool = False
    """Weight 1 where the advantage is above 0, else 0."""
    advantage_actions: Annotated[int, Field(ge=1, le=100)] = 4
    """Actions of the policy whose mean value is the base of the advantage."""
    largest_weight: Positive = 20.0
    """Bound of the weights."""


AnyConfig = BCConfig | TD3BCConfig | CQLConfig | IQLConfig | AWACConfig | CRRConfig
_ANY: TypeAdapter[AnyConfig] = TypeAdapter(AnyConfig)


def read_config(data: Mapping[str, Any]) -> AnyConfig:
    """Return the config that a process was wired with, complete: its keys say which of the algorithms it is of."""
    return _ANY.validate_python(data)
