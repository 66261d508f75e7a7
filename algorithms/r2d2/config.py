"""Every hyperparameter of R2D2, its default and its bounds."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import Count, Positive, Share
from surreal.algorithms.models.config import MemoryConfig, Network, NetworkConfig
from surreal.algorithms.replay.config import ReplayConfig
from surreal.algorithms.rollouts.config import ActingConfig
from surreal.protocol.documents.effects import SOME, Only

Natural = Annotated[int, Field(ge=0)]
OF_POLICIES = ("make", "policy", "value", "shared", "std", "squash")
"""Settings of a network that say something of policies alone."""


class SequenceReplay(ReplayConfig):
    """Settings of the replay role: sequences, drawn by their errors."""

    capacity: Count = 400_000
    """Steps that are kept, all shards together; the oldest fragments make room for new ones."""
    min_size: Count = 5_000
    """Steps before the first batch, all shards together."""
    sequence_length: Count = 80
    """Steps of an item; the first `burn_in` of them only bring the memory up to date."""
    sequence_overlap: Natural = 40
    """Steps that an item shares with the one before."""
    priority_exponent: Annotated[float, Field(ge=0, le=2)] = 0.9
    """Alpha of prioritized replay (Schaul et al. 2016); 0 samples uniformly."""
    importance_exponent: Share = 0.6
    """Beta of the importance weights; 0 leaves them out, as the paper does."""


class R2D2Config(ActingConfig):
    """Hyperparameters of R2D2 (Kapturowski et al. 2019). For Discrete actions."""

    only = [
        Only("stored_state", where={"network.memory": SOME}),
        Only("priority_eta", where={"replay.priority_exponent": SOME}),
    ]

    total_steps: Count = 1_000_000
    """Environment steps of all actors together after which the run is done."""
    stop_at_return: float | None = None
    """End as soon as the mean training return of the last `return_window` episodes reaches this."""
    return_window: Count = 100
    """Episodes over which the reported training return is averaged."""

    replay: SequenceReplay = SequenceReplay()
    """The replay role."""
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    """Sequences of an update."""
    updates_per_step: Annotated[float, Field(ge=0.0001, le=100)] = 0.01
    """Updates for each environment step of all actors: the shards hold back actors, or the learner, to keep to it."""
    burn_in: Natural = 40
    """First steps of a sequence, from which nothing is learned: both networks only bring their memory up to date."""
    stored_state: bool = True
    """Begin a sequence with the state that the actor had there; false begins with zeros."""
    n_step: Annotated[int, Field(ge=1, le=100)] = 5
    """Steps of the returns that values are learned from; fewer at the end of a sequence."""
    gamma: Share = 0.997
    """Discount."""
    rescale: bool = True
    """Learn values on the scale h(x) = sign(x) (sqrt(|x| + 1) - 1) + x / 1000 (Pohlen et al. 2018)."""
    priority_eta: Share = 0.9
    """Priority of a sequence: this share of its largest error, the rest of its mean error."""
    fragment_steps: Annotated[int, Field(ge=1, le=10_000)] = 240
    """Steps of each environment copy in one message of an actor. Sequences do not go beyond one."""

    hidden: Annotated[list[Count], Field(max_length=8)] = [128]
    """Widths of the layers between memory and values, of the state's value and of the advantages each."""
    network: Network = NetworkConfig(memory=MemoryConfig(), activation="relu")
    """Encoders and memory. With a memory the network also takes in the last action and the last reward."""
    dueling: bool = True
    """Value the state and each choice's advantage apart (Wang et al. 2016)."""
    double: bool = True
    """The present network chooses the next action, the target network judges it (van Hasselt et al. 2016)."""
    learning_rate: Positive = 1e-4
    """Adam's step size."""
    adam_epsilon: Positive = 1e-3
    """Adam's constant below the fraction."""
    max_grad_norm: Positive | None = 40.0
    """Clip the gradient's norm to this."""
    target_every: Count = 2_500
    """Updates between two copies of the network to its target."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of random actions of the first copy of the first actor; the last copy of the last one has
    epsilon^(1 + epsilon_ladder) (Horgan et al. 2018)."""
    epsilon_ladder: Annotated[float, Field(ge=0)] = 7.0
    """Spread of the exponents over the copies of all actors; one alone has the middle."""

    weights_every: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Updates between two versions of the weights that actors get."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device on which the learner computes; auto takes a GPU where there is one. Central inference does so too, but
    for cpu."""

    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock."""
    evaluate_episodes: Count = 5
    """Deterministic episodes per evaluation."""
    evaluation_episode_cap: Count | None = None
    """An evaluation's episode is cut after so many steps; by default after 10,000 or the environment's own limit."""

    @model_validator(mode="after")
    def _network_is_of_values(self) -> Self:
        fields = NetworkConfig.model_fields
        for name in OF_POLICIES:
            if getattr(self.network, name) != fields[name].get_default(call_default_factory=True):
                raise ValueError(f"network.{name} is for policies, and r2d2 learns values. Remove it; see hidden.")
        return self

    def lasting(self) -> dict[str, Any]:
        """See Config."""
        return {**super().lasting(), "dueling": self.dueling, "rescale": self.rescale}

    @property
    def remembers(self) -> bool:
        """Return True for a network with a memory."""
        return self.network.memory is not None
