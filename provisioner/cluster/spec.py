"""The Cluster document (`cluster.yaml`): where machines come from, and the pools of equal machines there shall be."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.load import load_file
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.models import API_VERSION, Label, Spec, dns_label, validated
from surreal.protocol.documents.quantity import Cpu, Memory
from surreal.provisioner.cluster import validation as rules
from surreal.provisioner.pools.labels import Taint

Provider = Literal["minikube", "gke", "eks", "existing"]
MAX_NODES = 15_000
"""Nodes of the largest cluster that GKE makes."""


def _cloud_name(name: str) -> str:
    dns_label(name)
    if name[0].isdigit():
        raise ValueError(f"must begin with a letter, not {name!r}; for example 'n{name}'")
    return name


def _label_key(key: str) -> str:
    part = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
    domain = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
    if not re.fullmatch(rf"({domain}/)?{part}", key):
        raise ValueError(f"{key!r} is no label key; write name or domain.example/name, with letters, digits, '-_.'")
    prefix = key.rpartition("/")[0]
    if re.search(r"(^|\.)(kubernetes\.io|k8s\.io|surreal\.dev)$", prefix):
        raise ValueError(f"{key!r} belongs to Kubernetes or to surreal; take another prefix")
    return key


def _version(text: str) -> str:
    if not re.fullmatch(r"1\.[0-9]{2}", text):
        raise ValueError(f"must be a minor version such as '1.33', not {text!r}")
    return text


def _cidr(text: str) -> str:
    from ipaddress import ip_network

    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError(f"must be a network such as 203.0.113.0/24 or one address/32, not {text!r}") from None


def _network(text: str) -> str:
    """A network that leaves room for sixteen subnets of nodes."""
    text, prefix = _cidr(text), int(_cidr(text).rpartition("/")[2])
    if ":" in text or not 8 <= prefix <= 20:
        raise ValueError(f"must be an IPv4 network of /8 to /20 such as 10.64.0.0/16, not {text!r}")
    return text


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]", text) or ".." in text:
        raise ValueError(f"must be 3 to 63 lower-case letters, digits, '-' and '.', not {text!r}")
    return text


def _folder(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_/.]{0,200}", text):
        raise ValueError(f"must be letters, digits and '-_/.', not {text!r}")
    return text


def _word(text: str) -> str:
    # what goes into a cloud's names: region, zone, machine, accelerator, project
    if not re.fullmatch(r"[a-z0-9][-a-z0-9.:]{0,62}", text):
        raise ValueError(f"must be lower-case letters, digits, '-' and '.', not {text!r}")
    return text


CloudName = Annotated[str, AfterValidator(_cloud_name)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
Word = Annotated[str, AfterValidator(_word)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Cidr = Annotated[str, AfterValidator(_cidr)]
DnsName = Annotated[str, AfterValidator(dns_label)]


class ClusterMetadata(Spec):
    """Which cluster this is."""

    name: CloudName
    """Names the cluster and what belongs to it, and its kubeconfig context on minikube."""


class TaintSpec(Spec):
    """Keeps pods off a pool unless they tolerate it. Spot and GPU pools get theirs by themselves."""

    key: LabelKey
    value: Label = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class AcceleratorSpec(Spec):
    """The GPUs of each machine."""

    type: Word
    """As the provider calls it: nvidia-l4."""
    count: Annotated[int, Field(ge=1, le=16)] = 1


class MachineSpec(Spec):
    """What one machine has, where no table knows its type."""

    cpu: Cpu
    memory: Memory


class PoolSpec(Spec):
    """Equal machines, as many as are needed between `min` and `max`."""

    name: CloudName
    """What a role's `pool` names; the label surreal.dev/pool of every node."""
    machine: Word | None = None
    """The machine type as the provider calls it: n2-standard-8, m7i.2xlarge."""
    resources: MachineSpec | None = None
    """Of one machine: for a type that `surreal prices` does not list, and on minikube."""
    min: Annotated[int, Field(ge=0, le=MAX_NODES)] = 0
    """Machines that always run."""
    max: Annotated[int, Field(ge=1, le=MAX_NODES)]
    """Machines in all zones together, at most; minikube starts them all."""
    spot: bool = False
    """Cheap machines that the provider can take back at any time."""
    zones: tuple[Word, ...] = Field(default=(), strict=False)
    """Those of the cluster unless said."""
    disk: Memory = 100 * 2**30
    """Boot disk of each machine; images and emptyDir volumes share it."""
    accelerator: AcceleratorSpec | None = None
    labels: dict[LabelKey, Label] = {}
    """Further labels of the nodes."""
    taints: tuple[TaintSpec, ...] = Field(default=(), strict=False)
    """Further taints of the nodes."""
    autoprovision: bool = False
    """Let the provider (GKE node auto-provisioning, EKS Auto Mode with Karpenter) choose and make machines."""

    @property
    def extra_taints(self) -> tuple[Taint, ...]:
        """`taints` as the labels table has them."""
        return tuple(Taint(taint.key, taint.value, taint.effect) for taint in self.taints)


class KubernetesSpec(Spec):
    """Which Kubernetes."""

    version: Annotated[str, AfterValidator(_version)] | None = None
    """Minor version; the provider's default unless said."""
    channel: Literal["rapid", "regular", "stable"] = "regular"
    """GKE's release channel, which upgrades the cluster."""


class NetworkSpec(Spec):
    """Who reaches what."""

    private_nodes: bool = True
    """Nodes have no public address and go out through NAT."""
    allowed_cidrs: tuple[Cidr, ...] = Field(default=(), strict=False)
    """From where the Kubernetes API may be reached, besides the cluster itself."""
    cidr: Annotated[str, AfterValidator(_network)] = "10.64.0.0/16"
    """Addresses of the nodes."""


class StoreSpec(Spec):
    """The bucket for checkpoints and logs, which pods of one service account may use without any key."""

    bucket: Bucket
    create: bool = True
    """Make it, and delete it with the cluster when it is empty; false for one that exists."""
    namespace: DnsName = "default"
    service_account: DnsName = "surreal"
    """The Kubernetes service account that may read and write."""


class StateSpec(Spec):
    """Where Terraform keeps what it knows, so that colleagues share it."""

    backend: Literal["gcs", "s3"]
    bucket: Bucket
    prefix: Annotated[str, AfterValidator(_folder)] = "surreal"
    """Folder in the bucket; every cluster has its own below."""
    region: Word | None = None
    """Of the bucket; s3 only."""


class MinikubeSpec(Spec):
    """How the local cluster is made."""

    driver: Literal["docker", "podman", "kvm2", "qemu2", "hyperkit", "vfkit", "virtualbox", "none"] | None = None
    """minikube's own choice unless said."""
    cni: Literal["auto", "bridge", "calico", "cilium", "flannel", "kindnet"] = "calico"
    """calico and cilium enforce network policies; the others ignore them."""
    addons: tuple[Word, ...] = Field(default=("metrics-server",), strict=False)


class ClusterSpec(Spec):
    """What is made."""

    provider: Provider
    context: str | None = None
    """The kubeconfig context of a cluster that exists."""
    project: Word | None = None
    """Google Cloud project."""
    region: Word | None = None
    zones: tuple[Word, ...] = Field(default=(), strict=False)
    """Where the nodes are; the provider's choice (GKE) or the first two (EKS) unless said."""
    kubernetes: KubernetesSpec = KubernetesSpec()
    network: NetworkSpec = NetworkSpec()
    deletion_protection: bool = False
    """Refuse to delete the cluster, here and in the provider's console."""
    store: StoreSpec | None = None
    state: StateSpec | None = None
    minikube: MinikubeSpec = MinikubeSpec()
    pools: Annotated[tuple[PoolSpec, ...], Field(min_length=1, max_length=100, strict=False)]


class Cluster(Spec):
    """One cluster, checked. Only `from_data` and `load_cluster` make one."""

    api_version: Literal["surreal.dev/v1alpha1"] = API_VERSION
    kind: Literal["Cluster"] = "Cluster"
    metadata: ClusterMetadata
    spec: ClusterSpec
    _source: Source = PrivateAttr(default_factory=Source)

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.metadata.name

    @property
    def source(self) -> Source:
        """Where each key was written, for errors that are found later."""
        return self._source

    def platform(self, pool: PoolSpec) -> str:
        """The row of `labels.PLATFORMS` that this pool's nodes follow."""
        made_to_measure = {"gke": "gke-autoprovision", "eks": "karpenter"}
        provider = self.spec.provider
        return made_to_measure[provider] if pool.autoprovision else provider

    @classmethod
    def from_data(cls, data: Any, source: Source | None = None) -> "Cluster":
        """Check plain `data`. Raises one InvalidInput that names every problem."""
        source = source or Source("cluster.yaml")
        cluster, problems = validated(cls, data)
        problems += rules.problems(data)
        if problems or cluster is None:
            raise source.invalid(problems)
        cluster._source = source
        return cluster

    def to_data(self) -> dict[str, Any]:
        """Plain data, saying what the file said: most defaults belong to one provider only."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_yaml(self) -> str:
        """The document; loading it gives an equal Cluster."""
        return strictyaml.dump(self.to_data())


def load_cluster(path: Path) -> Cluster:
    """Read and check a cluster file. Raises one InvalidInput that names every problem with its line."""
    return Cluster.from_data(*load_file(path))


def cluster_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of cluster files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Cluster.model_json_schema(by_alias=True)}
