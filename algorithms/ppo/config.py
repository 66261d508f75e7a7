"""Every hyperparameter of PPO, its default and its bounds. Written once; nothing else repeats a default."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import Config, Count, Positive, Share, Sizing
from surreal.algorithms.models.config import TANH, Network, NetworkConfig
from surreal.algorithms.models.probe import Found, look

SMALL = 256
"""Widest layer of two tanh networks that `device: auto` leaves on the CPU."""


class PPOConfig(Config):
    """PPO's hyperparameters (Schulman et al. 2017)."""

    total_steps: Count = 1_000_000
    """Environment steps of all actors together after which the run is done."""
    stop_at_return: float | None = None
    """End as soon as the mean training return of the last `return_window` episodes reaches this."""
    return_window: Count = 100
    """Episodes over which the reported training return is averaged."""

    fragment_steps: Count = 128
    """Steps per environment copy in one fragment; a batch is fragment_steps x copies x actors transitions."""
    max_staleness: Annotated[int, Field(ge=0, le=8)] = 1
    """Updates the weights of a fragment may be behind: 0 is strictly on-policy, 1 overlaps acting and learning."""

    hidden: Annotated[list[Count], Field(min_length=1, max_length=8)] = [64, 64]
    """Widths of the hidden tanh layers, the same for policy and value."""
    network: Network = NetworkConfig()
    """Networks of policy and value: encoders, memory, heads, or `module:make`; by default two tanh networks."""
    sequence_steps: Count | None = None
    """Steps of the sequences that a network with memory learns from, each from the state that was stored at its start;
    a divisor of fragment_steps, by default all of them."""
    log_std_init: float = -0.5
    """Initial log standard deviation of a Gaussian policy."""

    learning_rate: Positive = 3e-4
    """Adam's step size at the start."""
    anneal: bool = True
    """Decrease the learning rate linearly to zero over total_steps, and desired_kl to a quarter."""
    desired_kl: Positive | None = 0.02
    """Mean KL that an update is meant to move the policy by: the step size follows it from update to update, within a
    tenth and ten times learning_rate. None keeps learning_rate. Not for `adaptive-kl`, whose penalty adapts instead."""
    epochs: Count = 10
    """Passes over each batch."""
    minibatch: Count = 64
    """Transitions per gradient step."""
    gamma: Share = 0.99
    """Discount."""
    gae_lambda: Share = 0.95
    """Lambda of generalized advantage estimation (Schulman et al. 2016)."""
    recompute_advantages: bool = True
    """Estimate values and advantages again before every epoch."""
    normalize_advantages: bool = True
    """Subtract mean and divide by standard deviation in each minibatch."""
    objective: Literal["clip", "adaptive-kl"] = "clip"
    """The clipped surrogate (eq. 7), or the KL penalty whose weight adapts (eq. 8), as the original SURREAL had it."""
    clip: Positive = 0.2
    """Range of the probability ratio in the clipped surrogate."""
    anneal_clip: bool = False
    """Decrease that range linearly to zero over total_steps."""
    value_clip: Positive | None = None
    """Clip the change of the value estimate to this range; none by default."""
    target_kl: Positive | None = None
    """Stop the epochs of a batch once the mean KL from the behaviour policy exceeds 1.5 times this; the target of
    `adaptive-kl`, which needs it."""
    entropy_coef: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the entropy bonus."""
    value_coef: Positive = 0.5
    """Weight of the value loss."""
    max_grad_norm: Positive | None = 0.5
    """Clip the gradient's global norm to this."""

    normalize_observations: bool = True
    """Standardise observations with running statistics that the learner owns and ships with the weights."""
    normalize_rewards: bool = True
    """Divide rewards by the running standard deviation of the discounted return."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device on which the learner computes; auto takes a GPU where there is one, and the CPU for two tanh networks of
    at most 256 units a layer, which are faster there by hand."""
    gradients: Literal["auto", "analytic", "autograd"] = "auto"
    """Engine of the learner's gradients: by hand in numpy (fast for small networks on a CPU) or by torch's autograd."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Numbers of autograd's forward pass: bfloat16 is torch's autocast; parameters and losses stay float32."""
    compile: bool = False
    """Have torch.compile translate the network; it takes a minute at the start, and not for a memory."""

    gather_patience: Positive = 5.0
    """A batch goes on without an actor that takes longer than so many times the usual time between two batches, at
    least 5 s, until that actor's next fragment comes."""

    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock."""
    evaluate_episodes: Count = 5
    """Deterministic episodes per evaluation."""
    evaluation_episode_cap: Count | None = None
    """An evaluation's episode is cut after so many steps; by default after 10,000 or the environment's own limit."""

    @model_validator(mode="after")
    def _gradients_fit_the_network(self) -> Self:
        if self.gradients == "analytic" and not self.network.plain:
            raise ValueError("network needs gradients by autograd. Set gradients: auto or autograd.")
        if self.sequence_steps is not None and self.network.memory is None:
            raise ValueError("sequence_steps needs a memory. Set network.memory, or remove sequence_steps.")
        if self.fragment_steps % self.sequence:
            divisors = ", ".join(str(n) for n in range(2, self.fragment_steps + 1) if not self.fragment_steps % n)
            raise ValueError(
                f"sequence_steps: {self.sequence} does not divide fragment_steps: {self.fragment_steps}. "
                f"Set one of {divisors}."
            )
        return self

    @property
    def sequence(self) -> int:
        """Steps of a sequence of a network with memory."""
        return self.sequence_steps or self.fragment_steps

    @model_validator(mode="after")
    def _penalty_has_a_target(self) -> Self:
        if self.objective == "adaptive-kl" and self.target_kl is None:
            raise ValueError("objective 'adaptive-kl' needs target_kl, for example 0.015")
        return self


ACTIONS = {
    "auto": "an action of numbers: the policy's -1 to 1 is spread over the bounds (env.actionScaling: auto)",
    "none": "an action of numbers is taken as the policy gives it, within the bounds (env.actionScaling: none)",
}
"""Note of a plan for each choice of `env.actionScaling`."""


def sizing(config: PPOConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean together with `replicas` actors and `env`'s copies, and what is meaningless."""
    actors, copies = replicas["actor"], int(env["copies"])
    batch = config.fragment_steps * copies * actors
    size = f"{config.fragment_steps} fragment_steps x {copies} copies x {actors} actors = {batch:,}"
    found = look(config.network, config.hidden, env) if _worth_a_look(config, env) else Found()
    notes = (
        f"a batch has {size} transitions, an update {config.epochs} x {-(-batch // config.minibatch):,} "
        f"minibatches of {min(config.minibatch, batch):,}",
        *_network(config, found),
        ACTIONS[env.get("action_scaling", "auto")],
    )
    problems = [*_problems(config, batch, size), *([("network", found.problem)] if found.problem else [])]
    return Sizing(notes, (), tuple(problems))


def _worth_a_look(config: PPOConfig, env: Mapping[str, Any]) -> bool:
    """Return True unless the networks surely are two tanh networks on numbers, as for gymnasium's own environments."""
    return not config.network.plain or any(mark in str(env.get("id", "")) for mark in "/:") or bool(env.get("wrappers"))


def _network(config: PPOConfig, found: Found) -> Iterator[str]:
    network = config.network
    plain = network.plain and (not found.note or TANH in found.note)
    if network.make is not None:
        yield f"the networks of policy and value are made by {network.make}, gradients by autograd"
    elif plain:
        widths = "-".join(map(str, network.policy or config.hidden))
        yield f"policy and value are {TANH} of {widths} units, gradients {_engine(config, plain)}"
    else:
        yield f"gradients {_engine(config, plain)}"
    if network.memory is not None:
        together = max(1, config.minibatch // config.sequence)
        yield f"a minibatch is {together} {'sequence' if together == 1 else 'sequences'} of {config.sequence} steps"
    if found.note:
        yield found.note


def _engine(config: PPOConfig, plain: bool) -> str:
    small = plain and max(config.network.policy or config.hidden) <= SMALL and config.device != "cuda"
    if plain and config.gradients != "autograd" and (small or config.device == "cpu"):
        return "by hand on the CPU"
    places = {"auto": "a GPU where there is one, else on the CPU", "cuda": "the GPU", "cpu": "the CPU"}
    return f"by autograd on {places[config.device]}"


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
