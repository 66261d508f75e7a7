"""Every hyperparameter of DDPG, TD3, SAC and DQN, its default and its bounds."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from surreal.algorithms.algorithm import Config, Count, Positive, Share
from surreal.algorithms.replay.config import ReplayConfig
from surreal.protocol.documents.effects import SOME, Only

Natural = Annotated[float, Field(ge=0)]
HIGH_RATIO = 4.0
"""Updates for each step above which critics have layer norms, unless the config says otherwise."""


class LongStart(ReplayConfig):
    """Settings of the replay role where a policy of numbers is learned."""

    min_size: Count = 10_000
    """Steps before the first batch, all shards together. Where nothing is said, at most a tenth of total_steps."""


class OffPolicyConfig(Config):
    """Hyperparameters that all four have."""

    only = [
        Only("threads", where={"gradients": ("auto", "analytic"), "device": ("auto", "cpu")}),
        Only("device", value="cuda", where={"gradients": ("auto", "autograd")}),
    ]

    total_steps: Count = 1_000_000
    """Environment steps of all actors together after which the run is done."""
    stop_at_return: float | None = None
    """End as soon as the mean training return of the last `return_window` episodes reaches this."""
    return_window: Count = 20
    """Episodes over which the reported training return is averaged."""

    replay: ReplayConfig = ReplayConfig()
    """The replay role. Actors act at random until the first update, which is after `replay.min_size` steps."""
    batch: Annotated[int, Field(ge=2, le=65_536)] = 256
    """Transitions of an update."""
    updates_per_step: Annotated[float, Field(ge=0.001, le=100)] = 1.0
    """Updates for each environment step of all actors: the shards hold back actors, or the learner, to keep to it."""
    n_step: Annotated[int, Field(ge=1, le=100)] = 1
    """Steps of the returns that values are learned from."""
    gamma: Share = 0.99
    """Discount."""
    fragment_steps: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Steps of each environment copy in one message of an actor; n-step returns are shorter at its end."""

    hidden: Annotated[list[Count], Field(min_length=1, max_length=8)] = [256, 256]
    """Widths of the hidden ReLU layers, of actor and critics alike."""
    layer_norm: bool | None = None
    """Layer norms in the critics, which keep many updates a step stable; none by default up to 4 updates a step."""
    learning_rate: Positive = 1e-3
    """Adam's step size."""
    actor_learning_rate: Positive | None = None
    """Adam's step size of the actor; `learning_rate` by default."""
    max_grad_norm: Positive | None = None
    """Clip the gradients' norms to this: the actor's, and that of all critics together."""
    target_share: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Share of the way that target networks move at a time (tau); 1 copies."""
    target_every: Count = 1
    """Updates between two moves of the target networks."""
    actor_every: Count = 1
    """Updates of the critics for each one of the actor."""
    normalize_observations: bool = False
    """Standardise observations with running statistics of what was sampled, which travel with the weights."""

    weights_every: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Updates between two versions of the weights that actors get."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device on which the learner computes; auto takes a GPU where there is one and layers have more than 256 units."""
    gradients: Literal["auto", "analytic", "autograd"] = "auto"
    """Engine of the gradients: by hand in numpy (faster on a CPU), or torch's autograd."""
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """Threads that share each batch in the analytic engine. Give the learner as many cores, and BLAS one thread."""

    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock."""
    evaluate_episodes: Count = 5
    """Deterministic episodes per evaluation."""
    evaluation_episode_cap: Count | None = None
    """An evaluation's episode is cut after so many steps; by default after 10,000 or the environment's own limit."""

    @model_validator(mode="before")
    @classmethod
    def _random_steps_are_a_tenth_at_most(cls, data: Any) -> Any:
        """Say replay.min_size of a short run that leaves it out, so that its plan and its shards read one number."""
        if not isinstance(data, Mapping):
            return data
        replay, steps = data.get("replay", {}), data.get("total_steps")
        if not isinstance(replay, Mapping) or "min_size" in replay or not isinstance(steps, int):
            return data
        usual = cls.model_fields["replay"].default.min_size
        return {**data, "replay": {**replay, "min_size": min(usual, max(1, steps // 10))}}

    @property
    def normed(self) -> bool:
        """Return True where critics have layer norms."""
        return self.updates_per_step > HIGH_RATIO if self.layer_norm is None else self.layer_norm

    @property
    def number_of_critics(self) -> int:
        """Return how many critics there are."""
        return 1

    def lasting(self) -> dict[str, Any]:
        """See Config."""
        return {**super().lasting(), "layer_norm": self.normed}


class ActorConfig(OffPolicyConfig):
    """Hyperparameters of methods with an actor, and of their variants for choices."""

    replay: LongStart = LongStart()
    """The replay role. Actors act at random until the first update, which is after `replay.min_size` steps: with 1,000
    of them one of three seeds of TD3 on Hopper stood at a return of 38 from its 6,000th step on."""

    def lasting(self) -> dict[str, Any]:
        """See Config."""
        return {**super().lasting(), "critics": self.number_of_critics}


class DDPGConfig(ActorConfig):
    """Hyperparameters of DDPG (Lillicrap et al. 2016): a deterministic actor, one critic. For Box actions."""

    only = [Only("ou_theta", where={"exploration": "ou"}), Only("noise_ladder", where={"noise": SOME})]

    exploration: Literal["gaussian", "ou", "parameters"] = "gaussian"
    """Noise on actions that is new at every step, or correlated (Ornstein-Uhlenbeck), or on the actor's parameters,
    so large that it moves actions by `noise` (Plappert et al. 2018)."""
    noise: Natural = 0.1
    """Standard deviation of the exploration, in halves of an action's range: the mean over the actors. For `ou` it is
    that of each step's part; the sum has the deviation noise / sqrt(1 - (1 - ou_theta)^2), 1.9 times as much."""
    noise_ladder: Share = 0.5
    """Spread of the noise over the actors: the first has (1 - noise_ladder) x noise, the last (1 + noise_ladder)."""
    ou_theta: Share = 0.15
    """Share of an Ornstein-Uhlenbeck process that each step takes back."""


class TD3Config(DDPGConfig):
    """Hyperparameters of TD3 (Fujimoto et al. 2018): DDPG with two critics, smoothed targets and a delayed actor."""

    only = [Only("target_clip", where={"target_noise": SOME})]

    actor_every: Count = 2
    """Updates of the critics for each one of the actor; the targets move with the actor, as in the paper."""
    target_every: Count = 2
    """Updates between two moves of the target networks."""
    target_noise: Natural = 0.2
    """Standard deviation of the noise on the target's actions."""
    target_clip: Positive = 0.5
    """Largest such noise."""

    @property
    def number_of_critics(self) -> int:
        """See OffPolicyConfig."""
        return 2


class SACConfig(ActorConfig):
    """Hyperparameters of SAC (Haarnoja et al. 2018): a stochastic actor, two critics. For Box and Discrete actions."""

    only = [Only("target_entropy", "temperature_learning_rate", where={"learn_temperature": True})]

    temperature: Positive = 1.0
    """Weight of the entropy at the start."""
    learn_temperature: bool = True
    """Learn the weight so that the policy keeps `target_entropy`."""
    target_entropy: float | None = None
    """By default minus the number of an action's entries; of Discrete actions half of the largest entropy."""
    temperature_learning_rate: Positive | None = None
    """Adam's step size of the temperature; `learning_rate` by default."""
    critics: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of critics, the smallest of whose values counts."""

    @property
    def number_of_critics(self) -> int:
        """See OffPolicyConfig."""
        return self.critics


class DQNConfig(OffPolicyConfig):
    """Hyperparameters of DQN (Mnih et al. 2015). For Discrete actions."""

    only = [Only("actor_every", "actor_learning_rate", never="where values choose the actions: there is no actor")]

    max_grad_norm: Positive | None = 10.0
    """Clip the gradient's norm to this."""
    double: bool = True
    """The present network chooses the next action, the target network judges it (van Hasselt et al. 2016)."""
    loss: Literal["huber", "squared"] = "huber"
    """Loss of an error: huber counts those beyond 1 linearly, which suits rewards clipped to +-1; squared needs no
    rewards of a certain size."""
    dueling: bool = False
    """Value the state and each choice's advantage apart (Wang et al. 2016)."""
    epsilon: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Share of random actions of the first actor; the last of several has epsilon^(1 + epsilon_ladder), and one alone
    the mean of the two exponents (Horgan et al. 2018)."""
    epsilon_ladder: Natural = 7.0
    """Spread of the exponents over the actors."""

    def lasting(self) -> dict[str, Any]:
        """See Config."""
        return {**super().lasting(), "dueling": self.dueling}


AnyConfig = DDPGConfig | TD3Config | SACConfig | DQNConfig
_ANY: TypeAdapter[AnyConfig] = TypeAdapter(AnyConfig)


def read_config(data: Mapping[str, Any]) -> AnyConfig:
    """Return the config that a process was wired with, complete: its keys say which of the algorithms it is of."""
    return _ANY.validate_python(data)
