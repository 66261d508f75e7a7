"""Output part of an experiment beside the run folder: metrics in other places, recorded episodes."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from surreal.protocol.documents.models import Spec

Words = Annotated[str, Field(min_length=1, max_length=500)]


class WandbSpec(Spec):
    """A project of Weights & Biases. The key comes from the environment: WANDB_API_KEY."""

    project: Words = "surreal"
    """Project that the run belongs to."""
    entity: Words | None = None
    """User or team of the project; that of the key if null."""
    group: Words | None = None
    """Group of runs that wandb shows together, such as the seeds of one experiment."""
    mode: Literal["online", "offline"] = "online"
    """offline: files in the run folder, which `wandb sync` sends later."""


class MLflowSpec(Spec):
    """An experiment of MLflow."""

    experiment: Words = "surreal"
    """Experiment that the run belongs to."""
    uri: Words | None = None
    """Address of the server; a database file in the run folder if null."""


class TensorBoardSpec(Spec):
    """A folder for many runs, beside the events that are always in the run folder."""

    folder: Annotated[str, Field(pattern=r"^/", max_length=1000)]
    """Absolute path; each run writes below a folder of its name. In a cluster it is a volume of the learner."""


NO_AIM = "is not supported: aim 3.29 lists no run before `aim storage reindex`. Take wandb, mlflow or tensorboard."


class TrackSpec(Spec):
    """Other places that get the metrics. TensorBoard's files and metrics.jsonl are always written."""

    wandb: WandbSpec | None = None
    mlflow: MLflowSpec | None = None
    tensorboard: TensorBoardSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_aim(cls, data: Any) -> Any:
        """Say why there is no aim, instead of an unknown key."""
        if isinstance(data, dict) and "aim" in data:
            raise ValueError(f"aim: {NO_AIM}")
        return data


class RecordSpec(Spec):
    """Recording of the episodes that the run's actors see, as datasets that offline algorithms learn from."""

    folder: Annotated[str, Field(pattern=r"^/", max_length=1000)] | None = None
    """Absolute path; null is `datasets` in the run folder. In a cluster it is a volume of the acting role."""
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Each process records one of so many episodes."""
    gigabytes: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] = 10.0
    """Bound of all files together; each process has an equal share, and stops recording when it is used."""
