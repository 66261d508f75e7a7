"""Models of the experiment file. `Experiment.from_data` fills in what the file leaves out before they see it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from surreal.orchestrator.experiment.output_model import RecordSpec, TrackSpec
from surreal.orchestrator.experiment.pod_model import (
    DAY,
    EgressSpec,
    Image,
    ObjectName,
    PodsSpec,
    PullPolicy,
    Spread,
    StorageSpec,
    Volumes,
    default_image,
)
from surreal.protocol.documents.models import API_VERSION, DnsLabel, Label, Spec
from surreal.protocol.documents.quantity import Cpu, Memory
from surreal.provisioner.kube.resources import GPU


def _variables(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError(f"{name!r} cannot name an environment variable; use letters, digits and '_'")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a zero byte, which no environment variable can")
    return env


def _without_zero(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a zero byte, which no argument of a program can")
    return text


class Metadata(Spec):
    """Identity of an experiment."""

    name: DnsLabel
    """Names the experiment's folder and processes: lower-case letters, digits and `-`."""
    labels: dict[Label, Label] = {}
    """Labels of your own. Objects in a cluster carry them."""


Wrapper = str | dict[str, Any]
NVIDIA = "nvidia.com/"


class EvaluationEnvSpec(Spec):
    """Settings that differ where policies are evaluated."""

    options: dict[str, Any] = {}
    """Keyword arguments over those of training."""
    wrappers: list[Wrapper] | None = None
    """Wrappers instead of those of training. null: the same, but that rewards are not clipped and lives no episodes."""


class EnvSpec(Spec):
    """Environment that the algorithm learns."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    """A gymnasium id (`HalfCheetah-v5`), or `module:Id` of a module in this file's folder."""
    copies: Annotated[int, Field(ge=1, le=4096)] = 8
    """Environments that each actor steps together."""
    stepping: Literal["auto", "gymnasium", "batched"] = "auto"
    """`batched` steps the copies of one of gymnasium's MuJoCo v5 tasks by one compiled call, to the same bits. `auto`
    does so where that is exact."""
    options: dict[str, Any] = {}
    """Keyword arguments of the environment."""
    wrappers: list[Wrapper] = []
    """Names, `name: arguments`, presets (`atari`, `atari-paper`) or `module:Wrapper`, applied in order."""
    evaluation: EvaluationEnvSpec = EvaluationEnvSpec()
    action_scaling: Literal["auto", "none"] = "auto"
    """auto: a Gaussian policy's -1 to 1 is spread over the bounds of a Box action. none: it is taken as it is."""


class AlgorithmSpec(Spec):
    """Algorithm and its hyperparameters."""

    name: str
    """A built-in name (`ppo`), or `module:Name` of an `Algorithm` in this file's folder."""
    config: dict[str, Any]
    """Hyperparameters, spelled as in Python."""


class ResourcesSpec(Spec):
    """Resources that one process of a role needs."""

    cpu: Cpu
    """Cores: 2, 0.5 or 500m."""
    memory: Memory
    """512Mi, 1Gi or a number of bytes."""
    gpu: Annotated[int, Field(ge=0)]
    """Whole GPUs that each process has to itself in a cluster. Here `device` of the config decides."""
    gpu_kind: Annotated[str, Field(pattern=r"^[A-Za-z0-9][-A-Za-z0-9_. ]{0,62}$")] | None = None
    """The model that the GPUs must be: `l4`, `a100`, `NVIDIA-GeForce-RTX-3090`; any if null."""
    gpu_resource: Annotated[
        str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$")
    ] = GPU
    """The name that the cluster gives them: `nvidia.com/mig-1g.5gb`, `amd.com/gpu`."""

    @property
    def cuda(self) -> bool:
        """True where GPUs of NVIDIA are asked for."""
        return bool(self.gpu) and self.gpu_resource.startswith(NVIDIA)


Replicas = Annotated[int, Field(ge=1, le=10_000)]


class ReplicaRange(Spec):
    """Bounds of a role whose number of processes follows what the run needs."""

    min: Replicas
    max: Replicas

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min: {self.min} is more than max: {self.max}; swap them")
        return self


class RoleSpec(Spec):
    """Number and place of a role's processes. The algorithm gives the defaults."""

    replicas: Annotated[
        Annotated[Replicas, Tag("[number]")] | Annotated[ReplicaRange, Tag("[range]")],
        Discriminator(lambda given: "[range]" if isinstance(given, Mapping | ReplicaRange) else "[number]"),
    ]
    """The number of processes, or `{min: 2, max: 64}`: then they are added and removed as the run needs them."""
    resources: ResourcesSpec
    pool: str | None
    """The node pool to run on; any that fits if null. A laptop has only one and does not ask."""
    spot: bool | None
    """Machines that the provider can take back: true for such, false for none, null for the role's own choice."""
    env: Annotated[dict[str, str], AfterValidator(_variables)]
    """Environment variables of its processes."""
    image: Image | None = None
    """Image of its pods, if not that of the experiment."""
    image_pull_policy: PullPolicy | None = None
    """Rule by which nodes pull its image, if not that of the experiment."""
    priority_class_name: ObjectName | None = None
    """A PriorityClass of the cluster."""
    spread: Spread = "none"
    """Have its pods spread evenly over zones or nodes, as far as there is room."""
    volumes: Volumes = ()
    """Claims, ConfigMaps and Secrets of the cluster that its pods mount: `{name: x, mountPath: /x, claim: mine}`."""

    @property
    def most(self) -> int:
        """The largest number of its processes."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas.max

    @property
    def least(self) -> int | None:
        """The smallest number of its processes where that changes; None where it does not."""
        return None if isinstance(self.replicas, int) else self.replicas.min


class CheckpointSpec(Spec):
    """Schedule of checkpoints."""

    every_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Seconds between two checkpoints, at most; a learner that crashes goes on from the newest."""
    keep: Annotated[int, Field(ge=1)] = 3
    """Number of newest checkpoints to keep. The best policy is kept besides."""


class ChannelSpec(Spec):
    """Options of a broadcast channel."""

    relays: Annotated[int, Field(ge=0, le=1000)]
    """Processes between the writer and the readers, which share them, so that the writer's cost does not grow."""
    dtype: Literal["bfloat16"] | None
    """bfloat16: float32 arrays travel at half the size, rounded, and arrive as float32. null: as they are."""


class PrometheusSpec(Spec):
    """Endpoint for Prometheus."""

    port: Annotated[int, Field(ge=1, le=65535)] = 9400
    """Serves /metrics, on this machine to itself only."""


Argument = Annotated[str, Field(max_length=4000), AfterValidator(_without_zero)]


class LimitsSpec(Spec):
    """Bounds at which the run ends by itself, its last checkpoint saved."""

    hours: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    """Hours in which the process that ends the run is there, over all attempts. The run is stopped then."""
    cost: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    """US dollars of these hours, by the plan's price of all machines. The run is stopped then."""
    no_progress_minutes: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = None
    """Minutes without an environment step after which the run fails."""


class NotifySpec(Spec):
    """Notification of a person at the end, at a failure and where a run makes no progress."""

    command: tuple[Argument, ...] = Field(default=(), max_length=100, strict=False)
    """A program and its arguments, run by no shell. It reads JSON from its standard input, and SURREAL_EVENT, _NAME,
    _STATE and _TEXT from its environment."""
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$", max_length=2000)] | None = None
    """Gets a POST of the same JSON: `event`, `name`, `state`, `text`, `progress`."""
    no_progress_minutes: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 10.0
    """Minutes without an environment step after which it is told, once for each time."""


class ExperimentSpec(Spec):
    """Specification of the run."""

    env: EnvSpec
    algorithm: AlgorithmSpec
    roles: dict[str, RoleSpec]
    """Number and place of the processes of each role of the algorithm, such as `actor`. What is left out is its own
    default."""
    channels: dict[str, ChannelSpec]
    """Options of the algorithm's broadcasts, such as `weights`. Other channels have none."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    """Seed of all random numbers: first weights, environments, exploration, the order of batches."""
    checkpoints: CheckpointSpec = CheckpointSpec()
    hang_seconds: Annotated[float, Field(ge=0, le=DAY, allow_inf_nan=False)] = 300.0
    """A process that neither moves nor answers for so long is ended and started again; 0 for never."""
    prometheus: PrometheusSpec | None = None
    """Endpoint for Prometheus. Off if left out; `{}` is on."""
    track: TrackSpec = TrackSpec()
    record: RecordSpec | None = None
    """Recording of the actors' episodes as datasets. Off if left out; `{}` is on."""
    limits: LimitsSpec = LimitsSpec()
    notify: NotifySpec = NotifySpec()
    code: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Folder of your own modules, relative to this file: packed and sent to every process. Local processes import
    modules of this file's folder without it."""
    image: Image | None = None
    """Image of all pods; `surreal image build` makes the default one."""
    image_pull_policy: PullPolicy = "IfNotPresent"
    """Rule by which nodes pull the image; `Always` for a tag that is built anew."""
    image_pull_secrets: tuple[ObjectName, ...] = Field(default=(), max_length=20, strict=False)
    """Secrets of the namespace with the passwords of image registries."""
    storage: StorageSpec = StorageSpec()
    pods: PodsSpec = PodsSpec()
    """Labels, annotations and scheduling of all pods."""
    queue: ObjectName | None = None
    """A LocalQueue of Kueue that admits the run; needs JobSet too."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=10 * 365 * DAY)] = DAY
    """Time after which a finished run leaves the cluster. Its claim stays until `surreal delete`."""
    egress: tuple[EgressSpec, ...] = Field(default=(), max_length=50, strict=False)
    """Networks that the pods may connect to, besides each other and the DNS: `{cidr: 10.0.0.0/8, ports: [443]}`."""

    def image_of(self, role: RoleSpec) -> str:
        """Return a role's image: the default one has CUDA where the role asks for GPUs of NVIDIA."""
        return role.image or self.image or default_image(cuda=role.resources.cuda)


class ExperimentDocument(Spec):
    """Models of the whole file; `Experiment` completes the data before it validates them."""

    model_config = {"title": "Experiment"}

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    """Version of the form of this file."""
    kind: Literal["Experiment"] = "Experiment"
    """Kind of this file, as in Kubernetes."""
    metadata: Metadata
    spec: ExperimentSpec
