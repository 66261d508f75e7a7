"""The Experiment document as a person writes it: its models, and the one way from a file to a checked Experiment.

Whatever the file leaves out is filled in from the algorithm's description before the models see it, so that an
Experiment is always complete.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from surreal.orchestrator.experiment import complete as validation
from surreal.orchestrator.experiment import overrides as set_overrides
from surreal.orchestrator.experiment.pod_model import (
    DAY,
    EgressSpec,
    Image,
    ObjectName,
    PullPolicy,
    Spread,
    StorageSpec,
    Volumes,
)
from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.load import load_file
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.models import API_VERSION, DnsLabel, Label, Spec
from surreal.protocol.documents.quantity import Cpu, Memory


def _variables(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} cannot name an environment variable; use letters, digits and '_'")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a zero byte, which no environment variable can")
    return env


class Metadata(Spec):
    """Who this experiment is."""

    name: DnsLabel
    """Names the experiment's folder and processes: lower-case letters, digits and `-`."""
    labels: dict[Label, Label] = {}
    """Free marks to find it by."""


class EnvSpec(Spec):
    """The environment that is learned."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    """A gymnasium id (`HalfCheetah-v5`), or `module:Id` for one's own."""
    copies: Annotated[int, Field(ge=1, le=4096)] = 8
    """Environments that each actor steps together."""
    options: dict[str, Any] = {}
    """Keyword arguments of the environment."""


class AlgorithmSpec(Spec):
    """What learns."""

    name: str
    config: dict[str, Any]
    """Hyperparameters, spelled as in Python."""


class ResourcesSpec(Spec):
    """What one process of a role needs."""

    cpu: Cpu
    """Cores: 2, 0.5 or 500m."""
    memory: Memory
    """512Mi, 1Gi or a number of bytes."""
    gpu: Annotated[int, Field(ge=0)]


class RoleSpec(Spec):
    """How many processes a role has, and where. What is left out is the algorithm's own default."""

    replicas: Annotated[int, Field(ge=1, le=10_000)]
    resources: ResourcesSpec
    pool: str | None
    """The node pool to run on; any that fits if null. A laptop has only one and does not ask."""
    spot: bool | None
    """Machines that the provider can take back: true for such, false for none, null as the role can bear it."""
    env: Annotated[dict[str, str], AfterValidator(_variables)]
    """Environment variables of its processes."""
    image: Image | None = None
    """Of its pods, if not that of the experiment."""
    image_pull_policy: PullPolicy | None = None
    priority_class_name: ObjectName | None = None
    """A PriorityClass of the cluster."""
    spread: Spread = "none"
    """Have its pods spread evenly over zones or nodes, as far as there is room."""
    volumes: Volumes = ()


class CheckpointSpec(Spec):
    """When the run is saved."""

    every_seconds: Annotated[float, Field(gt=0)] = 60.0
    keep: Annotated[int, Field(ge=1)] = 3
    """How many of the newest stay; the best one stays besides."""


class ChannelSpec(Spec):
    """How a broadcast reaches its readers."""

    relays: Annotated[int, Field(ge=0, le=1000)]
    """Processes between the writer and the readers, which share them, so that the writer's cost does not grow."""
    dtype: Literal["bfloat16"] | None
    """bfloat16: float32 arrays travel at half the size, rounded, and arrive as float32. null: as they are."""


class PrometheusSpec(Spec):
    """Where Prometheus finds the numbers of the run."""

    port: Annotated[int, Field(ge=1, le=65535)] = 9400
    """Serves /metrics, on this machine to itself only."""


class ExperimentSpec(Spec):
    """What is run."""

    env: EnvSpec
    algorithm: AlgorithmSpec
    roles: dict[str, RoleSpec]
    channels: dict[str, ChannelSpec]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    checkpoints: CheckpointSpec = CheckpointSpec()
    hang_seconds: Annotated[float, Field(ge=0, le=DAY, allow_inf_nan=False)] = 300.0
    """A process that neither moves nor answers for so long is ended and started again; 0 for never."""
    prometheus: PrometheusSpec | None = None
    """Off if left out; `{}` is on."""
    code: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Folder of one's own modules, from this file's folder on: packed and sent to every process. On this machine the
    file's own folder is found without it."""
    image: Image | None = None
    """Of all pods; `surreal image build` makes the one that is the default."""
    image_pull_policy: PullPolicy = "IfNotPresent"
    image_pull_secrets: tuple[ObjectName, ...] = Field(default=(), max_length=20, strict=False)
    storage: StorageSpec = StorageSpec()
    queue: ObjectName | None = None
    """A LocalQueue of Kueue, which then says when the run may start; needs JobSet too."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=10 * 365 * DAY)] = DAY
    """When a run that is over goes from the cluster; a claim with its results stays until `surreal delete`."""
    egress: tuple[EgressSpec, ...] = Field(default=(), max_length=50, strict=False)


class Experiment(Spec):
    """One experiment, complete and checked. Only `from_data` and `load_experiment` make one."""

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    kind: Literal["Experiment"] = "Experiment"
    metadata: Metadata
    spec: ExperimentSpec
    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def source(self) -> Source:
        """Where each key was written, for errors that are found later."""
        return self._source

    @classmethod
    def from_data(cls, data: Any, source: Source | None = None) -> "Experiment":
        """Check plain `data` and fill in what it leaves out. Raises InvalidInput that names every problem."""
        source = source or Source()
        experiment = validation.complete(cls, data, source)
        experiment._source = source
        return experiment

    def to_data(self) -> dict[str, Any]:
        """Plain data with all defaults said."""
        return self.model_dump(mode="json", by_alias=True)

    def to_yaml(self) -> str:
        """The document with all defaults said; loading it gives an equal Experiment."""
        return strictyaml.dump(self.to_data())


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read, override (`spec.seed=3`), complete and check an experiment file.

    Raises one InvalidInput that names every problem with its line.
    """
    data, source = load_file(path)
    for override in overrides:
        data = set_overrides.apply(data, override, source.lines)
    return Experiment.from_data(data, source)
