"""Every hyperparameter of PPO, its default and its bounds. Written once; nothing else repeats a default."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import Count, Positive, Share, Weight
from surreal.algorithms.rollouts.config import Open, RolloutConfig
from surreal.protocol.documents.effects import SOME, Only

if TYPE_CHECKING:
    from surreal.algorithms.networks import Layout

COMPILE_ROWS, COMPILE_IMAGES = 3_000_000, 1_200_000
"""Rows of all epochs of a run from which numba compiles: it saves 3 us of each, more of an image, and costs a dozen s.
"""


class PPOConfig(RolloutConfig):
    """PPO's hyperparameters (Schulman et al. 2017)."""

    only = [
        Only("clip", "anneal_clip", "clip_from", "desired_kl", where={"objective": "clip"}),
        Only("value_step_inputs", where={"value_learning_rate": SOME}),
        Only("recompute_returns", where={"recompute_advantages": False}),
        Only("numba", where={"gradients": ("auto", "analytic")}),
    ]
    before: ClassVar[Mapping[str, Any]] = {
        "desired_kl": None,
        "clip_from": "behaviour",
        "recompute_returns": False,
        "value_learning_rate": None,
        "value_step_inputs": None,
    }
    # A network of images that policy and value share fits a batch too closely in ten epochs of small steps: its values
    # explain less than nothing of the next one. The entropy of a Gaussian has no bound.
    openings = {
        "epochs": Open(10, images=4),
        "minibatch": Open(64, images=256),
        "entropy_coef": Open(0.0, choices=0.01),
    }

    max_staleness: Annotated[int, Field(ge=0, le=8)] = 1
    """Updates the weights of a fragment may be behind: 0 is strictly on-policy, 1 overlaps acting and learning."""

    begins_far = True

    gamma: Share | Literal["auto"] = "auto"
    """Discount. auto is 0.995, or less where time limits end all episodes before 200 steps: 1 - 1 / their mean length,
    at least 0.98. As long as nothing else has ended one, and none before 400 steps, it begins at 0.9999, falls while
    values explain less than 0.9 of the returns, and rewards are centred where their mean is above zero. An episode
    that ends otherwise, or sooner, ends that for good. With normalize_rewards: false it does not begin."""
    learning_rate: Positive = 3e-4
    """Adam's step size at the start."""
    value_learning_rate: Positive | None = 1e-3
    """Adam's step size at the start for values that are a network of their own, which share nothing with the policy;
    the KL does not change it. None takes learning_rate with all that changes it, as what is shared does."""
    value_step_inputs: Count | None = 64
    """Inputs of a dense layer of values up to which its weights take steps of value_learning_rate. Those of one with
    more take shorter ones, by this / its inputs: what a step of Adam changes grows with the inputs (Yang et al. 2022),
    and no KL tells of values. None: all take the same, as values beside images, or of one's own network, always do."""
    anneal: bool = True
    """Decrease both step sizes linearly to zero over total_steps."""
    desired_kl: Positive | None = 0.02
    """Mean KL that an update is meant to move the policy by: the step size falls where it is 1.5 times that, comes back
    to learning_rate where it is two thirds, and goes beyond where it is a quarter (times the square of what annealing
    leaves), within a tenth and ten times learning_rate. None keeps learning_rate. Not for `adaptive-kl`, whose penalty
    adapts instead."""
    epochs: Count | None = None
    """Passes over each batch; None makes 10, and 4 where observations are images."""
    minibatch: Count | None = None
    """Transitions per gradient step; None takes 64, and 256 where observations are images."""
    gae_lambda: Share = 0.95
    """Lambda of generalized advantage estimation (Schulman et al. 2016); while the discount of `gamma: auto` is beyond
    0.995, 1 - 0.4 x (1 - lambda)."""
    recompute_advantages: bool = False
    """Estimate advantages and returns again before every epoch."""
    recompute_returns: bool = True
    """Estimate returns again before every epoch, by the values as they have become; advantages stay those of the values
    before the update, which do not know the batch (Schulman et al. 2016, section 6)."""
    normalize_advantages: bool = True
    """Subtract mean and divide by standard deviation in each minibatch."""
    objective: Literal["clip", "adaptive-kl"] = "clip"
    """The clipped surrogate (eq. 7), or the KL penalty whose weight adapts (eq. 8), as the original SURREAL had it."""
    clip: Positive = 0.2
    """Range of the probability ratio in the clipped surrogate."""
    entropy_coef: Weight | None = None
    """Weight of the entropy bonus; None is 0.01 where actions are choices, and 0 where they are numbers."""
    entropy_coef_final: Weight | None = None
    """Weight of the entropy bonus at the end of the run, to which entropy_coef goes linearly; None keeps it."""
    clip_from: Literal["newest", "behaviour"] = "newest"
    """Policy that ratio and KL are measured from: the newest before the update, so that a fragment that is behind
    leaves it the whole range (Hilton et al. 2022, without a weight for what acted), or the one that acted."""
    anneal_clip: bool = False
    """Decrease that range linearly to zero over total_steps."""
    value_clip: Positive | None = None
    """Clip the change of the value estimate to this range; none by default."""
    target_kl: Positive | None = None
    """Stop the epochs of a batch once the mean KL of an epoch exceeds 1.5 times this; the target of
    `adaptive-kl`, which needs it."""
    sequence_steps: Count | None = None
    """Steps of the sequences that a network with memory learns from, each from the state that was stored at its start;
    a divisor of fragment_steps, by default all of them."""

    numba: bool | None = None
    """Compile gradients by hand with numba; None does where total_steps x epochs is 3 million or more, of images 1.2
    million. It costs a second at the start, the first time on a machine some seconds of a free core, a dozen or so, and
    more of a busy one; numbers differ in their last bits."""

    gather_patience: Positive = 5.0
    """A batch goes on without an actor that takes longer than so many times the usual time between two batches, at
    least 5 s, until that actor's next fragment comes."""

    @property
    def compiles(self) -> bool:
        """See RolloutConfig."""
        return bool(self.numba)

    def decided(self, images: bool, choices: bool) -> "Decided":
        """Return the config without an open key, where observations are `images` or not, and actions `choices`.

        Gradients are compiled where they are so many that the seconds of it are soon won back.
        """
        known = self.closed(Decided, images, choices)
        if known.numba is not None:
            return known
        enough = known.total_steps * known.epochs >= (COMPILE_IMAGES if images else COMPILE_ROWS)
        return known.model_copy(update={"numba": enough})

    def of(self, layout: "Layout") -> "Decided":
        """Return the config without an open key, as the observations and actions of `layout` decide them."""
        return self.decided(layout.spaces.sees_images, layout.spaces.discrete)

    @property
    def sequence(self) -> int:
        """See RolloutConfig."""
        return self.sequence_steps or self.fragment_steps

    @model_validator(mode="after")
    def _sequences_fit(self) -> Self:
        if self.sequence_steps is not None and self.network.memory is None:
            raise ValueError("sequence_steps needs a memory. Set network.memory, or remove sequence_steps.")
        if self.fragment_steps % self.sequence:
            divisors = ", ".join(str(n) for n in range(2, self.fragment_steps + 1) if not self.fragment_steps % n)
            raise ValueError(
                f"sequence_steps: {self.sequence} does not divide fragment_steps: {self.fragment_steps}. "
                f"Set one of {divisors}."
            )
        return self

    @model_validator(mode="after")
    def _penalty_has_a_target(self) -> Self:
        if self.objective == "adaptive-kl" and self.target_kl is None:
            raise ValueError("objective 'adaptive-kl' needs target_kl, for example 0.015")
        return self


class Decided(PPOConfig):
    """PPO's hyperparameters in a run whose environment is known: no key that decides an update is open."""

    epochs: Count
    minibatch: Count
    entropy_coef: Weight

    def of(self, layout: "Layout") -> "Decided":
        """See PPOConfig."""
        return self
