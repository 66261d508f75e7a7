"""Every hyperparameter of PPO, its default and its bounds. Written once; nothing else repeats a default."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import Count, Positive, Share, Sizing
from surreal.algorithms.inference import graph as inference
from surreal.algorithms.rollouts.config import ACTIONS, RolloutConfig, network_notes
from surreal.protocol.documents.effects import Only

COMPILE_ROWS = 3_000_000
"""Rows of all epochs of a run from which numba compiles: it saves 3 us of each, and costs up to 7 s."""


class PPOConfig(RolloutConfig):
    """PPO's hyperparameters (Schulman et al. 2017)."""

    only = [
        Only("clip", "anneal_clip", "clip_from", "desired_kl", where={"objective": "clip"}),
        Only("recompute_returns", where={"recompute_advantages": False}),
        Only("numba", where={"gradients": ("auto", "analytic")}),
    ]
    before: ClassVar[Mapping[str, Any]] = {
        "desired_kl": None,
        "clip_from": "behaviour",
        "recompute_returns": False,
        "value_learning_rate": None,
    }

    max_staleness: Annotated[int, Field(ge=0, le=8)] = 1
    """Updates the weights of a fragment may be behind: 0 is strictly on-policy, 1 overlaps acting and learning."""

    gamma: Share | Literal["auto"] = "auto"
    """Discount. auto is 0.995, or less where time limits end all episodes before 200 steps: 1 - 1 / their mean length,
    at least 0.98."""
    learning_rate: Positive = 3e-4
    """Adam's step size at the start."""
    value_learning_rate: Positive | None = 1e-3
    """Adam's step size at the start for values that are a network of their own, which share nothing with the policy;
    the KL does not change it. None takes learning_rate with all that changes it, as what is shared does."""
    anneal: bool = True
    """Decrease both step sizes linearly to zero over total_steps."""
    desired_kl: Positive | None = 0.02
    """Mean KL that an update is meant to move the policy by: the step size falls where it is 1.5 times that, comes back
    to learning_rate where it is two thirds, and goes beyond where it is a quarter (times the square of what annealing
    leaves), within a tenth and ten times learning_rate. None keeps learning_rate. Not for `adaptive-kl`, whose penalty
    adapts instead."""
    epochs: Count = 10
    """Passes over each batch."""
    minibatch: Count = 64
    """Transitions per gradient step."""
    gae_lambda: Share = 0.95
    """Lambda of generalized advantage estimation (Schulman et al. 2016)."""
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
    entropy_coef: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the entropy bonus."""
    entropy_coef_final: Annotated[float, Field(ge=0)] | None = None
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
    """Compile gradients by hand with numba; None does where total_steps x epochs is 3 million or more. It costs one
    second at the start, the first time on a machine six, and numbers differ in their last bits."""

    gather_patience: Positive = 5.0
    """A batch goes on without an actor that takes longer than so many times the usual time between two batches, at
    least 5 s, until that actor's next fragment comes."""

    @property
    def compiles(self) -> bool:
        """See RolloutConfig: where gradients are so many that the seconds of compiling are soon won back."""
        enough = self.total_steps * self.epochs >= COMPILE_ROWS
        return enough if self.numba is None else self.numba

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


def sizing(config: PPOConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean together with `replicas` actors and `env`'s copies, and what is meaningless."""
    actors, copies = replicas["actor"], int(env["copies"])
    batch = config.fragment_steps * copies * actors
    size = f"{config.fragment_steps} fragment_steps x {copies} copies x {actors} actors = {batch:,}"
    problems = (*_unshared(config, replicas), *_problems(config, batch, size))
    notes = (
        f"a batch has {size} transitions, an update {config.epochs} x {-(-batch // config.minibatch):,} "
        f"minibatches of {min(config.minibatch, batch):,}",
        *_sequences(config),
        *_shared(config, replicas),
        *network_notes(config, env),
        *_step_sizes(config, env),
        ACTIONS[env.get("action_scaling", "auto")],
        *inference.notes(config, replicas, env),
    )
    return Sizing(notes, tuple(inference.warnings(config, replicas, env)), problems)


def _step_sizes(config: PPOConfig, env: Mapping[str, Any]) -> Iterator[str]:
    """Yield the step sizes of networks that share nothing; or that a second one was asked for in vain."""
    network, policy, values = config.network, config.learning_rate, config.value_learning_rate
    # the note lists the parts of a network that was looked at
    encoder = "encoder" in str(env.get("network", ""))
    if not (network.make or network.trunk or network.memory or network.shared or encoder):
        if values not in (None, policy):
            yield f"the policy learns with a step size of {policy:g}, the value with {values:g} (value_learning_rate)"
    elif values not in (None, type(config).model_fields["value_learning_rate"].default):
        yield "value_learning_rate has no effect: policy and value share a part of their network, or it is your own"


def _sequences(config: PPOConfig) -> Iterator[str]:
    if config.network.memory is not None:
        together = max(1, config.minibatch // config.sequence)
        yield f"a minibatch is {together} {'sequence' if together == 1 else 'sequences'} of {config.sequence} steps"


def _shared(config: PPOConfig, replicas: Mapping[str, int]) -> Iterator[str]:
    """Yield how several learners share the work."""
    learners, actors = replicas.get("learner", 1), replicas["actor"]
    if learners > 1:
        most = -(-actors // learners)
        each = f"{most}" if actors % learners == 0 else f"{actors // learners} or {most}"
        yield (
            f"{learners} learners make each update together: each has the fragments of {each} of {actors} actors, and "
            f"about {config.minibatch / learners:,.0f} of a minibatch's {config.minibatch:,} rows; they add their "
            "gradients"
        )


def _unshared(config: PPOConfig, replicas: Mapping[str, int]) -> Iterator[tuple[str | tuple[str, ...], str]]:
    """Yield what several learners cannot share."""
    learners, actors = replicas.get("learner", 1), replicas["actor"]
    here = ("roles", "learner", "replicas")
    if learners > actors:
        text = f"{learners} learners cannot share the fragments of {actors} actors"
        yield here, f"{text}. Set at most {actors}, or more actors."
    elif learners > config.minibatch:
        yield here, f"{learners} learners cannot share a minibatch of {config.minibatch}. Set at most that many."
    if learners > 1 and config.objective == "adaptive-kl":
        text = f"'adaptive-kl' weighs the KL of a whole minibatch, and each of {learners} learners sees a part"
        yield "objective", f"{text}. Set clip, or one learner."


def _problems(config: PPOConfig, batch: int, size: str) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    minibatch = config.minibatch
    if minibatch > batch:
        yield "minibatch", f"{minibatch} is more than a batch has ({size}). Set at most {batch}."
        return
    if not config.normalize_advantages:
        return
    # Mean and deviation of one advantage make it zero: such a step learns nothing.
    if minibatch == 1:
        yield "minibatch", "1 learns nothing with normalize_advantages: true. Set at least 2, or turn that off."
    elif batch % minibatch == 1:
        near = next(n for n in range(minibatch + 1, batch + 2) if batch % n != 1 or n > batch)
        rest = f"{minibatch} leaves a last minibatch of one of {batch:,} ({size}), which learns nothing"
        yield "minibatch", f"{rest} with normalize_advantages: true. Set {min(near, batch)} or another divisor."
