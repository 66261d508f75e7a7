"""Every hyperparameter of ES and ARS, its default and its bounds. Written once; nothing else repeats a default."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from surreal.algorithms.algorithm import Config, Count, Positive, Share
from surreal.protocol.documents.effects import SOME, Only


class EvolutionConfig(Config):
    """Settings that ES and ARS have in common."""

    only = [
        Only("max_staleness", where={"deterministic": False}),
        Only("statistics_share", where={"normalize_observations": "running"}),
        Only("cap_threshold", "cap_growth", where={"cap_start": SOME}),
    ]

    total_steps: Count = 10_000_000
    """Environment steps in results that were used, of all workers together, after which the run is done."""
    stop_at_return: float | None = None
    """End as soon as the mean return of a generation's perturbed policies reaches this."""

    deterministic: bool = False
    """A generation is a fixed set of perturbations and waits for each of them, so that the run is the same bit for
    bit however many workers take part and whichever dies. Otherwise it is the first results that come."""
    max_staleness: Annotated[int, Field(ge=0, le=64)] = 4
    """Generations a result may be late and still be used; later ones are counted and dropped. `deterministic` has no
    late results."""
    chunk: Count | None = None
    """Mirrored pairs that a worker takes on, and reports, together; by default a quarter of a worker's share of a
    generation, at most 8."""

    survival_bonus: float = 0.0
    """Taken off the return for each step (Mania et al. 2018, sec. 4.1: 1 for Hopper, Walker2d, Ant; 5 for Humanoid)."""
    normalize_observations: Literal["running", "virtual", "none"] = "running"
    """Standardise observations by statistics of all that were seen, by those of a fixed batch of random actions that
    is taken at the start (virtual), or not at all."""
    statistics_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the perturbations whose observations enter the running statistics: less is less traffic."""

    episode_cap: Count = 10_000
    """An episode is cut after so many steps, whatever the environment says."""
    cap_start: Count | None = None
    """The cap of the first generation, which grows up to episode_cap; none: it is episode_cap from the start."""
    cap_threshold: Share = 0.5
    """The cap grows after a generation in which at least this share of the episodes reached it."""
    cap_growth: Annotated[float, Field(gt=1)] = 1.5
    """Factor by which the cap grows."""

    evaluate_every_seconds: Positive = 10.0
    """The evaluator's own clock; it rolls out the unperturbed policy."""
    evaluate_episodes: Count = 5
    """Episodes per evaluation."""

    @property
    def normalizes(self) -> bool:
        """Return True where observations are standardised, by whichever statistics."""
        return self.normalize_observations != "none"

    def lasting(self) -> dict[str, Any]:
        """See Config: running statistics go on from those of random actions, and these stay as they are."""
        return {**super().lasting(), "normalize_observations": "running or virtual" if self.normalizes else "none"}


class ESConfig(EvolutionConfig):
    """Evolution strategies' hyperparameters (Salimans et al. 2017)."""

    only = [Only("momentum", where={"optimizer": "sgd"})]

    population: Annotated[int, Field(ge=2)] = 64
    """Perturbed policies of a generation; half of them are the mirror images of the others."""
    sigma: Positive = 0.05
    """Standard deviation of the perturbations."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Rule that follows the estimated gradient: Adam, or gradient ascent with momentum."""
    learning_rate: Positive = 0.02
    """The optimizer's step size."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of `sgd`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.005
    """Times the parameters, taken off the gradient of the centred ranks' mean (which has no factor 1/sigma)."""
    hidden: Annotated[list[Count], Field(max_length=8)] = [32, 32]
    """Widths of the policy's hidden tanh layers; none makes it linear."""

    @model_validator(mode="after")
    def _population_is_even(self) -> Self:
        if self.population % 2:
            near = f"{self.population - 1} or {self.population + 1}"
            raise ValueError(f"population consists of mirrored pairs: it must be even, not {self.population}; {near}?")
        return self

    @property
    def pairs(self) -> int:
        """Mirrored pairs of a generation."""
        return self.population // 2

    def lasting(self) -> dict[str, Any]:
        """See Config: each optimizer remembers something else."""
        return {**super().lasting(), "optimizer": self.optimizer}


def _top(value: Any) -> Any:
    """Refuse in one sentence what each type of a union would refuse in one of its own."""
    if value is None or value == "half" or (type(value) is int and value >= 1):
        return value
    raise ValueError(f"must be a whole number from 1 on, half, or null for all, not {value!r}")


Top = Annotated[Count | Literal["half"] | None, BeforeValidator(_top)]


class ARSConfig(EvolutionConfig):
    """Augmented random search's hyperparameters (Mania et al. 2018): linear policies that start at zero.

    V1 is normalize_observations: none, V2 running; both use all directions, V1-t and V2-t have a top.
    """

    deterministic: bool = True
    """A generation waits for all its directions, and the run is the same bit for bit. Of few, those that come first are
    the short episodes; false is for hundreds of workers."""
    directions: Count = 8
    """Directions of a generation, each tried both ways (N)."""
    top: Top = "half"
    """Directions used for the update, those with the best of two returns (b); none: all."""
    sigma: Positive = 0.04
    """Standard deviation of the perturbations (nu)."""
    learning_rate: Positive = 0.03
    """Step size (alpha), over the standard deviation of the returns used."""

    @model_validator(mode="after")
    def _top_fits(self) -> Self:
        if isinstance(self.top, int) and self.top > self.directions:
            raise ValueError(f"top is {self.top} of {self.directions} directions; it must be at most {self.directions}")
        return self

    @property
    def pairs(self) -> int:
        """Mirrored pairs of a generation."""
        return self.directions

    def used(self, directions: int) -> int:
        """Return how many of `directions` an update uses; an open generation may have more than were asked for."""
        if self.top is None:
            return directions
        return max(1, directions // 2) if self.top == "half" else self.top


AnyConfig = ESConfig | ARSConfig
_EITHER: TypeAdapter[AnyConfig] = TypeAdapter(AnyConfig)


def read_config(data: dict[str, Any]) -> AnyConfig:
    """Return the config that a process was wired with, complete: its keys say which of the two algorithms it is of."""
    return _EITHER.validate_python(data)


def chunk_size(config: AnyConfig, workers: int) -> int:
    """Return the mirrored pairs in one message of results."""
    share = config.pairs // max(workers, 1)
    return config.chunk or max(1, min(8, share // 4))
