"""Every hyperparameter of IMPALA, its default and its bounds, and what the settings mean together."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from surreal.algorithms.algorithm import Count, Positive, Share, Sizing, Weight
from surreal.algorithms.inference import graph as inference
from surreal.algorithms.rollouts.config import ACTIONS, Open, RolloutConfig, network_notes
from surreal.protocol.documents.effects import SOME, Only

if TYPE_CHECKING:
    from surreal.algorithms.networks import Layout

Bar = Positive | None
QUEUE = 4096
"""Fragments that a learner holds at most."""
COMPILE_STEPS = 200_000
"""Steps of a run from which numba compiles the convolution of small images: it costs a second, the first time some."""


class IMPALAConfig(RolloutConfig):
    """IMPALA's hyperparameters (Espeholt et al. 2018)."""

    only = [Only("replay_fragments", where={"replay_ratio": SOME})]
    before: ClassVar[Mapping[str, Any]] = {"max_kl": None}
    # A small network has large gradients, one of a hundred thousand parameters has smaller ones. The entropy of a
    # Gaussian has no bound: a bonus of 0.01 widened Walker2d's to a standard deviation of 1.4, for advantages become
    # small where a policy is nearly as good as it gets, and the bonus does not.
    openings = {"optimizer_epsilon": Open(1e-3, images=1e-5), "entropy_coef": Open(0.0, choices=0.02)}

    fragment_steps: Count = 20
    """Steps per environment copy in one fragment: the n of the n-step targets."""
    gamma: Share | Literal["auto"] = "auto"
    """Discount. auto is 0.995, or less where time limits end all episodes before 200 steps: 1 - 1 / their mean length,
    at least 0.98."""
    value_coef: Positive = 2.0
    """Weight of the value loss: the larger, the faster values learn, beside the large constant of the optimizer."""
    batch_fragments: Count = 1
    """Fragments of an update: the first that have come, whichever actors sent them."""

    correction: Literal["vtrace", "none"] = "vtrace"
    """V-trace corrects for actions of older policies; `none` takes them for the present policy's."""
    rho_bar: Bar = 1.0
    """Bound of the importance weights in the temporal differences; None for none. A smaller one has less variance, and
    the value of a policy nearer to that of the actors is learned."""
    c_bar: Bar = 1.0
    """Bound of the importance weights in the trace, at most rho_bar; None for none."""
    policy_rho_bar: Bar = 1.0
    """Bound of the importance weights of the policy gradient; None for none."""
    max_kl: Positive | None = 1.0
    """KL of the present policy from those that acted, above which the policy's gradient is divided by the excess; None
    for no bound. A narrow policy leaves them in few steps, and then learns from what it would not do."""
    trace_lambda: Share = 1.0
    """Decay of the trace."""

    optimizer: Literal["rmsprop", "adam"] = "adam"
    """Adam, or RMSprop (decay 0.99) as in the paper."""
    optimizer_epsilon: Positive | None = None
    """Constant that is added to the root of RMSprop's and Adam's mean square; None is 1e-3, and 1e-5 where observations
    are images."""
    learning_rate: Positive = 1e-3
    """Step size at the start."""
    anneal: bool = True
    """Decrease the step size linearly to zero over total_steps."""
    entropy_coef: Weight | None = None
    """Weight of the entropy bonus; None is 0.02 where actions are choices, and 0 where they are numbers."""

    replay_ratio: Annotated[float, Field(ge=0, le=16)] = 3.0
    """Old fragments in an update for each new one; the learner keeps the last `replay_fragments` of them in memory.
    0 learns from each step once, which costs a quarter: for large networks, or where there are many actors."""
    replay_fragments: Annotated[int, Field(ge=1, le=QUEUE)] = 64
    """Fragments that are kept for replay."""
    artificial_lag: Annotated[int, Field(ge=0)] = 0
    """Test aid: fragments wait in the learner for so many updates, so that their weights are that old."""

    def of(self, layout: "Layout") -> "Decided":
        """Return the config without an open key, as the observations and actions of `layout` decide them."""
        return self.closed(Decided, layout.spaces.sees_images, layout.spaces.discrete)

    def lasting(self) -> dict[str, Any]:
        """See Config: each optimizer remembers something else."""
        return {**super().lasting(), "optimizer": self.optimizer}

    @property
    def compiles(self) -> bool:
        """See RolloutConfig: small images in a run that is long enough. Two tanh networks stay in numpy."""
        return self.network.encoder == "small-cnn" and self.network.convolved and self.total_steps >= COMPILE_STEPS

    @model_validator(mode="after")
    def _the_trace_is_cut_first(self) -> Self:
        rho, c = self.rho_bar, self.c_bar
        if rho is not None and (c is None or c > rho):
            raise ValueError(f"c_bar: {c} is above rho_bar: {rho}. Set at most {rho}.")
        return self


class Decided(IMPALAConfig):
    """IMPALA's hyperparameters in a run whose environment is known: no key is open."""

    optimizer_epsilon: Positive
    entropy_coef: Weight

    def of(self, layout: "Layout") -> "Decided":
        """See IMPALAConfig."""
        return self


def sizing(config: IMPALAConfig, replicas: Mapping[str, int], env: Mapping[str, Any]) -> Sizing:
    """Return what the settings mean together with `replicas` actors and `env`'s copies, and what is meaningless."""
    actors, copies = replicas["actor"], int(env["copies"])
    batch = config.fragment_steps * copies * config.batch_fragments
    notes = (
        f"an update takes the first {_fragments(config.batch_fragments)} come, of {config.fragment_steps} "
        f"fragment_steps x {copies} copies each: {batch:,} transitions, {_updates(config, batch):,} updates in all",
        f"{actors} {'actor does' if actors == 1 else 'actors do'} not wait for the learner; {_correction(config)}",
        *_replay(config),
        *network_notes(config, env),
        ACTIONS[env.get("action_scaling", "auto")],
        *inference.notes(config, replicas, env),
    )
    return Sizing(notes, (*_warnings(config), *inference.warnings(config, replicas, env)), tuple(_problems(config)))


def _fragments(number: int) -> str:
    return "fragment that has" if number == 1 else f"{number} fragments that have"


def _updates(config: IMPALAConfig, batch: int) -> int:
    return -(-config.total_steps // batch)


def _correction(config: IMPALAConfig) -> str:
    if config.correction == "none":
        return "actions of older policies are taken for the present one's (correction: none)"
    bars = (("rho_bar", config.rho_bar), ("c_bar", config.c_bar), ("policy_rho_bar", config.policy_rho_bar))
    text = ", ".join(f"{name} {'none' if bar is None else format(bar, 'g')}" for name, bar in bars)
    return f"V-trace corrects for older weights ({text})"


def _replay(config: IMPALAConfig) -> Iterator[str]:
    if config.replay_ratio:
        old = config.replay_ratio * config.batch_fragments
        yield f"{old:g} more fragments of an update are drawn from the last {config.replay_fragments:,}"


def _warnings(config: IMPALAConfig) -> Iterator[str]:
    if config.artificial_lag:
        yield f"artificial_lag: {config.artificial_lag} makes fragments old on purpose: a test aid. Leave it out."
    if config.correction == "none" and config.replay_ratio:
        old = "replayed fragments are old, and correction: none does not correct for it"
        yield f"replay_ratio: {old}. Set vtrace, or replay_ratio: 0."


def _problems(config: IMPALAConfig) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for settings that are each allowed and together mean nothing."""
    held, most = (config.artificial_lag + 1) * config.batch_fragments, QUEUE // config.batch_fragments - 1
    if most < 0:
        yield "batch_fragments", f"{config.batch_fragments:,} is more than a learner's queue of {QUEUE:,}. Set less."
    elif held > QUEUE:
        text = f"{config.artificial_lag} updates of {config.batch_fragments} fragments are more than a learner's queue"
        yield "artificial_lag", f"{text} of {QUEUE:,}. Set at most {most}."
