"""Settings that every algorithm of rollouts has, their defaults and bounds, and what a plan says of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, cast

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import NUMBERS, Config, Count, Positive, Share
from surreal.algorithms.devices import SMALL, Device
from surreal.algorithms.models.config import CONVOLVED, TANH, Engine, Network, NetworkConfig
from surreal.protocol.documents.effects import Only

C = TypeVar("C", bound="RolloutConfig")


class ActingConfig(Config):
    """Settings of where the policy acts."""

    only = [Only("inference_batch", "inference_wait_ms", where={"inference": "central"})]

    inference: Literal["local", "central"] = "local"
    """Place of the policy: a copy in each actor, or the role `inference`, which answers batches of all actors."""
    inference_batch: Count | None = None
    """Central inference: copies that are answered at once; by default half of those that a replica serves."""
    inference_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 2.0
    """Central inference: milliseconds that a batch waits to be full."""


@dataclass(frozen=True)
class Open:
    """Values of one key that is None by default: the usual one, and another where a run's spaces ask for it."""

    usual: Any
    images: Any = None
    """Value where observations are images; None for the usual one."""
    choices: Any = None
    """Value where actions are choices; None for the usual one."""

    def value(self, images: bool, choices: bool) -> Any:
        """Return what a run has, where observations are `images` or not, and actions `choices` or numbers."""
        if images and self.images is not None:
            return self.images
        return self.choices if choices and self.choices is not None else self.usual


class RolloutConfig(ActingConfig):
    """Hyperparameters of every algorithm that learns from fragments of rollouts: what actors and networks need."""

    only = [
        Only("hidden", where={"network.make": None, "network.policy": None, "network.memory": None}),
        Only("log_std_init", where=NUMBERS),
        Only("precision", "compile", where={"gradients": ("auto", "autograd")}),
        Only("device", value="cuda", where={"gradients": ("auto", "autograd")}),
    ]
    openings: ClassVar[Mapping[str, Open]] = {}
    """Key that is None by default -> the values that a run has: observations and actions decide."""
    begins_far: ClassVar[bool] = False
    """True where `gamma: auto` may begin with a far horizon: returns reach so far that they judge what values know."""

    total_steps: Count = 1_000_000
    """Environment steps of all actors together after which the run is done."""
    stop_at_return: float | None = None
    """End as soon as the mean training return of the last `return_window` episodes reaches this."""
    return_window: Count = 100
    """Episodes over which the reported training return is averaged."""

    fragment_steps: Count = 128
    """Steps per environment copy in one fragment."""

    hidden: Annotated[list[Count], Field(min_length=1, max_length=8)] = [64, 64]
    """Widths of the hidden tanh layers, the same for policy and value."""
    network: Network = NetworkConfig()
    """Networks of policy and value: encoders, memory, heads, or `module:make`; by default two tanh networks."""
    log_std_init: float = -0.5
    """Initial log standard deviation of a Gaussian policy."""

    gamma: Share | Literal["auto"] = 0.99
    """Discount."""

    value_coef: Positive = 0.5
    """Weight of the value loss."""
    max_grad_norm: Positive | None = 0.5
    """Clip the gradient's global norm to this."""

    normalize_observations: bool = True
    """Standardise observations with running statistics that the learner owns and ships with the weights."""
    normalize_rewards: bool = True
    """Divide rewards by the running standard deviation of the discounted return."""

    device: Device = "auto"
    """Device on which the learner computes; auto takes a GPU where there is one, and the CPU for two tanh networks of
    at most 256 units a layer, which are faster there by hand. Central inference takes a GPU where it has one, but for
    cpu."""
    gradients: Engine = "auto"
    """Engine of the learner's gradients: by hand (two tanh networks, or small-cnn with dense layers of relu or tanh, on
    a CPU) or by torch's autograd."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers of autograd's forward pass: bfloat16 is torch's autocast; parameters and losses stay float32."""
    compile: bool = False
    """Have torch.compile translate the network; it takes a minute at the start, and not for a memory."""

    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock."""
    evaluate_episodes: Count = 5
    """Deterministic episodes per evaluation."""
    evaluation_episode_cap: Count | None = None
    """An evaluation's episode is cut after so many steps; by default after 10,000 or the environment's own limit."""

    @model_validator(mode="after")
    def _noise_is_held_here(self) -> Self:
        if self.inference == "central" and self.network.std == "gsde":
            raise ValueError("network.std: gsde holds its noise in an actor. Set inference: local, or another std.")
        return self

    @model_validator(mode="after")
    def _gradients_fit_the_network(self) -> Self:
        if self.gradients == "analytic" and not (self.network.plain or self.network.convolved):
            raise ValueError("network needs gradients by autograd. Set gradients: auto or autograd.")
        return self

    def discount(self, now: float) -> float:
        """Return the discount of an update: a number as it is said, or `now` where the episodes of the run decide."""
        return now if isinstance(self.gamma, str) else self.gamma

    def closed(self, kind: type[C], images: bool, choices: bool) -> C:
        """Return it as a `kind` without an open key; nothing is validated again."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        found = {name: key.value(images, choices) for name, key in self.openings.items() if said[name] is None}
        return cast(C, kind.model_construct(**said | found))

    @property
    def compiles(self) -> bool:
        """Return True if gradients by hand are compiled by numba."""
        return False

    @property
    def sequence(self) -> int:
        """Steps between two states of a network with memory that a fragment has."""
        return self.fragment_steps


ACTIONS = {
    "auto": "if actions are numbers, the policy's -1 to 1 is spread over their bounds (env.actionScaling: auto)",
    "none": "if actions are numbers, they are taken as the policy gives them, within bounds (env.actionScaling: none)",
}
"""Note of a plan for each choice of `env.actionScaling`; a plan does not know whether actions are numbers."""


def network_notes(config: RolloutConfig, env: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the networks are and how they are differentiated; `env` is that of `Algorithm.sizing`."""
    network, note = config.network, str(env.get("network", ""))
    plain = network.plain and (not note or TANH in note)
    small = CONVOLVED in note if note else network.convolved and network.encoder == "small-cnn"
    if network.make is not None:
        yield f"the networks of policy and value are made by {network.make}, gradients by autograd"
    elif plain:
        widths = "-".join(map(str, network.policy or config.hidden))
        yield f"policy and value are {TANH} of {widths} units, gradients {_engine(config, plain, small)}"
    else:
        yield f"gradients {_engine(config, plain, small)}"
    if note:
        yield note


def _engine(config: RolloutConfig, plain: bool, convolved: bool) -> str:
    """Return how gradients are computed, which `models.byhand.chosen` decides where they are."""
    narrow = plain and max(config.network.policy or config.hidden) <= SMALL and config.device != "cuda"
    only_torch = not plain and (config.precision != "float32" or config.compile)
    known = (plain or convolved) and config.gradients != "autograd" and not (only_torch and config.gradients == "auto")
    by_hand = "by hand on the CPU, compiled by numba" if config.compiles else "by hand on the CPU"
    if known and (narrow or config.device == "cpu" or config.gradients == "analytic"):
        return by_hand
    places = {"auto": "a GPU where there is one, else on the CPU", "cuda": "the GPU", "cpu": "the CPU"}
    if known and config.device == "auto":
        return f"by autograd on a GPU where there is one, else {by_hand}"
    return f"by autograd on {places[config.device]}"
