"""Plan: processes and their machines, ready for a backend to start. `plan.make` makes it from an Experiment.

A backend and its supervisor need this module alone: it imports neither the catalog nor a YAML reader.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from surreal.orchestrator.experiment.pod_model import DAY, PullPolicy, Spread
from surreal.protocol.documents.models import API_VERSION
from surreal.protocol.documents.quantity import Cpu, Memory
from surreal.protocol.graph import Channel, ProcessName
from surreal.provisioner.kube.resources import GPU


class PlanModel(BaseModel):
    """Frozen, knows all its keys; camelCase in JSON and YAML, snake_case in Python."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


class Resources(PlanModel):
    """Resources of one process."""

    cpu: Cpu
    """Cores."""
    memory: Memory
    """Bytes."""
    gpu: int = 0
    gpu_kind: str = ""
    """The model that the GPUs must be; empty for any."""
    gpu_resource: str = GPU
    """The name that the cluster gives them."""


class PlannedToleration(PlanModel):
    """A taint of nodes that the pods of a role tolerate; without a value any (`operator: Exists`)."""

    key: str
    value: str | None = None
    effect: str | None = None


class PlannedVolume(PlanModel):
    """Files of the cluster that a role's pods see at `mount_path`."""

    name: str
    mount_path: str
    kind: Literal["claim", "configMap", "secret"]
    source: str
    """The name of that object."""
    read_only: bool


class PlannedEgress(PlanModel):
    """A network and its TCP ports that the pods may connect to."""

    cidr: str
    ports: tuple[int, ...]


class PlannedPods(PlanModel):
    """Wishes of a cluster's people for all pods."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    runtime_class: str = ""
    scheduler: str = ""
    namespace_user: bool = False
    """No user is named: the namespace gives one."""
    kueue_priority_class: str = ""


class PlannedStorage(PlanModel):
    """Place of the run folder."""

    kind: Literal["folder", "auto", "claim", "emptyDir", "url"] = "folder"
    """folder: on this machine. auto: not known before a cluster is asked, see `Backend.resolve`."""
    size: Memory | None = None
    """Bytes; a folder has no bound."""
    class_name: str = ""
    url: str = ""
    service_account: str = ""
    """The account that the store knows; empty for an account without rights."""
    note: str = ""
    """Sentence about the files that are kept, and those that go with a pod."""


class PlannedRole(PlanModel):
    """One role of the run: so many processes of `run`, each with `resources`, on machines of `pool`."""

    name: str
    run: str
    """`package.module:function` that each process calls."""
    replicas: int
    """Processes; the most there may be where `least` is said."""
    least: int | None = None
    """Processes that the run begins with, where their number follows what it needs."""
    resources: Resources
    pool: str
    fallback: tuple[str, ...] = ()
    """Pools that its processes may run on when `pool` has no machine for them, in this order."""
    spot: bool = False
    """May run on machines that the provider can take back."""
    selectors: tuple[dict[str, str | tuple[str, ...]], ...] = ()
    """Labels of nodes: all of one entry are needed, with any one of several values; the first entry is wanted most.
    `pool` and its fallbacks."""
    tolerations: tuple[PlannedToleration, ...] = ()
    expendable: bool
    """Its death never fails the run."""
    ends_run: bool
    """The run is done when this role is."""
    keeps_snapshots: bool = False
    """Starts again from its own last snapshot."""
    evaluates: bool = False
    """The end of the run waits for its last evaluation."""
    env: dict[str, str] = {}
    """Environment variables of its processes."""
    image: str = ""
    """Image of its pods."""
    image_pull_policy: PullPolicy = "IfNotPresent"
    priority_class: str = ""
    spread: Spread = "none"
    volumes: tuple[PlannedVolume, ...] = ()

    @property
    def accelerator(self) -> str:
        """The resource name of the accelerators that its processes ask for; empty if they ask for none."""
        return self.resources.gpu_resource if self.resources.gpu else ""


@dataclass(frozen=True)
class PlannedChannel(Channel):
    """One channel of the algorithm's graph, with the settings of the experiment for it."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", alias_generator=lambda name: "from" if name == "frm" else to_camel(name), populate_by_name=True
    )
    relays: int = 0
    """Broadcast: processes of the role NAME-relay between the one that binds and the readers."""
    dtype: Literal["bfloat16"] | None = None
    """Broadcast: what float32 arrays travel as."""


class PlannedPool(PlanModel):
    """Machines that the run takes of one pool of a cluster."""

    name: str
    provider: str
    machine: str | None = None
    spot: bool = False
    there: int
    """Machines that are there."""
    now: int
    """Machines of these that get processes at once."""
    full: int
    """Machines with processes of the run when all run; the autoscaler must add `full - now`."""
    processes: dict[str, int]
    """Role -> its processes here when all run."""
    price: float | None = None
    """US dollars an hour of one machine; None is unknown."""
    price_bound: float | None = None
    """US dollars an hour of one machine at most, where the price of spot machines is unknown."""
    priced: str = ""
    """Source of the price."""

    @property
    def cost_per_hour(self) -> float | None:
        """US dollars an hour at full scale; None is unknown."""
        return None if self.price is None else self.full * self.price


class PlannedCost(PlanModel):
    """US dollars at full scale; None is unknown."""

    per_hour: float | None
    per_day: float | None
    per_million_steps: float | None = None
    """Environment steps, at a measured speed."""
    unknown: tuple[str, ...] = ()
    """Pools without a price."""
    at_most_per_hour: float | None = None
    """An upper bound where `per_hour` is unknown: spot machines at the price on demand."""
    not_included: tuple[str, ...] = ()
    """Further things that the provider bills."""


class Checkpoints(PlanModel):
    """Schedule of checkpoints, and the number of newest ones to keep."""

    every_seconds: float
    keep: int


class PlannedLimits(PlanModel):
    """Bounds at which the run ends by itself; None for none."""

    hours: float | None = None
    cost: float | None = None
    """US dollars."""
    no_progress_minutes: float | None = None


class PlannedNotify(PlanModel):
    """Ways to tell a person of the end, a failure, and of no progress."""

    command: tuple[str, ...] = ()
    url: str = ""
    no_progress_minutes: float


class PlannedRecord(PlanModel):
    """Recording of what acting processes see."""

    folder: str = ""
    """Folder of the files; empty for `datasets` in the run folder."""
    every: int
    gigabytes: float
    roles: tuple[str, ...]
    """Roles whose processes record."""


class Plan(PlanModel):
    """Everything a backend needs to start an experiment."""

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    kind: Literal["Plan"] = "Plan"
    name: str
    algorithm: str
    env: dict[str, Any]
    """The environment: id, copies, options."""
    config: dict[str, Any]
    """The algorithm's config with all defaults said."""
    seed: int
    checkpoints: Checkpoints
    hang_seconds: float = 300.0
    """A process without a sign of life or a move for so long is ended and started again; 0 for never."""
    prometheus_port: int | None = None
    """Port at which the process that serves control serves /metrics; None for none."""
    track: dict[str, dict[str, Any]] = {}
    """Other places that get the metrics, by name, with their settings."""
    record: PlannedRecord | None = None
    limits: PlannedLimits = PlannedLimits()
    notify: PlannedNotify | None = None
    image_pull_secrets: tuple[str, ...] = ()
    storage: PlannedStorage = PlannedStorage()
    labels: dict[str, str] = {}
    """Labels of one's own, on all objects."""
    pods: PlannedPods = PlannedPods()
    code: str = ""
    """The folder of one's own modules as the file names it."""
    queue: str = ""
    """The LocalQueue that admits the run."""
    ttl_seconds: int = DAY
    """Seconds that the objects of a finished run stay in a cluster."""
    egress: tuple[PlannedEgress, ...] = ()
    roles: tuple[PlannedRole, ...]
    channels: tuple[PlannedChannel, ...]
    pools: tuple[PlannedPool, ...] = ()
    """The pools of a cluster that are used; a machine of one's own is none."""
    cost: PlannedCost | None = None
    notes: tuple[str, ...] = ()
    """Expectations of the algorithm for a run of this size."""
    warnings: tuple[str, ...] = ()
    """Facts that do not stop the run but that the user should know."""

    def processes(self) -> list[str]:
        """Return the names of all processes of the run, `actor/3`."""
        return [str(name) for name in ProcessName.all_of({role.name: role.replicas for role in self.roles})]

    def role(self, name: str) -> PlannedRole:
        """Return the role of that name. Raises KeyError if there is none."""
        return {role.name: role for role in self.roles}[name]

    def to_data(self) -> dict[str, Any]:
        """Return plain data with the documents' spelling, for JSON and YAML."""
        return self.model_dump(mode="json", by_alias=True)

    def to_json(self) -> str:
        """Return one JSON document that `from_json` reads back unchanged."""
        return self.model_dump_json(by_alias=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Read what `to_json` wrote."""
        return cls.model_validate_json(text)
