"""The Cluster document (`cluster.yaml`): where machines come from, and the pools of equal machines there shall be."""

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from surreal.protocol.documents import yaml as strictyaml
from surreal.protocol.documents.locations import Source
from surreal.protocol.documents.models import API_VERSION, Cidr, Label, Spec
from surreal.protocol.documents.quantity import Cpu, Memory
from surreal.provisioner.spec.fields import Bucket, CloudName, DnsName, Folder, LabelKey, NodeNetwork, Version, Word

ProviderName = Literal["minikube", "gke", "eks", "existing"]
MAX_NODES = 15_000
"""Nodes of the largest cluster that GKE makes."""


class ClusterMetadata(Spec):
    """Name of the cluster."""

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
    """The provider's name for it: nvidia-l4."""
    count: Annotated[int, Field(ge=1, le=16)] = 1


class MachineSpec(Spec):
    """Resources of one machine whose type no table knows."""

    cpu: Cpu
    memory: Memory


class PoolSpec(Spec):
    """Equal machines, as many as are needed between `min` and `max`."""

    name: CloudName
    """The name that a role's `pool` gives; the label surreal.dev/pool of every node."""
    machine: Word | None = None
    """The machine type as the provider calls it: n2-standard-8, m7i.2xlarge."""
    resources: MachineSpec | None = None
    """Size of one machine: for a type that `surreal prices` does not list, and on minikube."""
    min: Annotated[int, Field(ge=0, le=MAX_NODES)] = 0
    """Machines that always run."""
    max: Annotated[int, Field(ge=1, le=MAX_NODES)]
    """Machines in all zones together, at most; minikube starts them all."""
    spot: bool = False
    """Cheap machines that the provider can take back at any time."""
    zones: tuple[Word, ...] = Field(default=(), strict=False)
    """Zones of the pool; by default those of the cluster."""
    disk: Memory = 100 * 2**30
    """Boot disk of each machine; images and emptyDir volumes share it."""
    accelerator: AcceleratorSpec | None = None
    labels: dict[LabelKey, Label] = {}
    """Further labels of the nodes."""
    taints: tuple[TaintSpec, ...] = Field(default=(), strict=False)
    """Further taints of the nodes."""
    autoprovision: bool = False
    """Let the provider (GKE node auto-provisioning, EKS Auto Mode with Karpenter) choose and make machines."""


class KubernetesSpec(Spec):
    """Version of Kubernetes."""

    version: Version | None = None
    """Minor version; the provider's default unless said."""
    channel: Literal["rapid", "regular", "stable"] = "regular"
    """GKE's release channel, which upgrades the cluster."""


class NetworkSpec(Spec):
    """Addresses of the cluster, and access to its API."""

    private_nodes: bool = True
    """Nodes have no public address and go out through NAT."""
    allowed_cidrs: tuple[Cidr, ...] = Field(default=(), strict=False)
    """From where the Kubernetes API may be reached, besides the cluster itself."""
    cidr: NodeNetwork = "10.64.0.0/16"
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
    """Place of Terraform's state, so that colleagues share it."""

    backend: Literal["gcs", "s3"]
    bucket: Bucket
    prefix: Folder = "surreal"
    """Folder in the bucket; every cluster has its own below."""
    region: Word | None = None
    """Region of the bucket; s3 only."""


class MinikubeSpec(Spec):
    """Options of the local cluster."""

    driver: Literal["docker", "podman", "kvm2", "qemu2", "hyperkit", "vfkit", "virtualbox", "none"] | None = None
    """minikube's own choice unless said."""
    cni: Literal["auto", "bridge", "calico", "cilium", "flannel", "kindnet"] = "calico"
    """calico and cilium enforce network policies; the others ignore them."""
    addons: tuple[Word, ...] = Field(default=("metrics-server",), strict=False)


class ClusterSpec(Spec):
    """Everything that the cluster has."""

    provider: ProviderName
    context: str | None = None
    """The kubeconfig context of a cluster that exists."""
    project: Word | None = None
    """Google Cloud project."""
    region: Word | None = None
    zones: tuple[Word, ...] = Field(default=(), strict=False)
    """Zones of the nodes; by default the provider's choice (GKE) or the first two (EKS)."""
    kubernetes: KubernetesSpec = KubernetesSpec()
    network: NetworkSpec = NetworkSpec()
    deletion_protection: bool = False
    """Refuse to delete the cluster, here and in the provider's console."""
    store: StoreSpec | None = None
    state: StateSpec | None = None
    minikube: MinikubeSpec = MinikubeSpec()
    pools: Annotated[tuple[PoolSpec, ...], Field(min_length=1, max_length=100, strict=False)]


class Cluster(Spec):
    """One cluster. Only `cluster.load` makes one, which checks it by the rules of its provider too."""

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
        """Places of the keys in the file, for errors that are found later."""
        return self._source

    def at(self, source: Source) -> "Cluster":
        """Return this cluster with the places of its keys."""
        self._source = source
        return self

    def to_data(self) -> dict[str, Any]:
        """Return plain data, saying what the file said: most defaults belong to one provider only."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_yaml(self) -> str:
        """Return the document; loading it gives an equal Cluster."""
        return strictyaml.dump(self.to_data())
