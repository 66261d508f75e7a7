"""The kinds of objects that surreal touches, and where the API has them."""

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""One object of the API as plain JSON data."""
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE = "app.kubernetes.io/instance"
"""The label with the experiment's name on all that belongs to it."""
OWNER = "surreal"
FIELD_MANAGER = OWNER
"""The manager of the fields that server-side apply sets."""


@dataclass(frozen=True)
class Kind:
    """One kind of the API."""

    version: str
    """`v1`, or `group/version`."""
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """Empty for the core."""
        return self.version.rpartition("/")[0]

    def path(self, namespace: str | None, name: str = "") -> str:
        """Return the URL's path of these objects, or of one of them; of all namespaces if None."""
        root = "/apis/" if self.group else "/api/"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{self.version}{within}/{self.plural}" + (f"/{name}" if name else "")


KINDS = {
    "ConfigMap": Kind("v1", "configmaps"),
    "Secret": Kind("v1", "secrets"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "Service": Kind("v1", "services"),
    "PersistentVolumeClaim": Kind("v1", "persistentvolumeclaims"),
    "Pod": Kind("v1", "pods"),
    "Event": Kind("v1", "events"),
    "ResourceQuota": Kind("v1", "resourcequotas"),
    "LimitRange": Kind("v1", "limitranges"),
    "Node": Kind("v1", "nodes", namespaced=False),
    "PersistentVolume": Kind("v1", "persistentvolumes", namespaced=False),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "Job": Kind("batch/v1", "jobs"),
    "DaemonSet": Kind("apps/v1", "daemonsets"),
    "JobSet": Kind("jobset.x-k8s.io/v1alpha2", "jobsets"),
    "RayJob": Kind("ray.io/v1", "rayjobs"),
    "Workload": Kind("kueue.x-k8s.io/v1beta1", "workloads"),
    "LocalQueue": Kind("kueue.x-k8s.io/v1beta1", "localqueues"),
    "Experiment": Kind("surreal.dev/v1alpha1", "experiments"),
    "Sweep": Kind("surreal.dev/v1alpha1", "sweeps"),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "StorageClass": Kind("storage.k8s.io/v1", "storageclasses", namespaced=False),
    "PriorityClass": Kind("scheduling.k8s.io/v1", "priorityclasses", namespaced=False),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False),
    "NodePool": Kind("karpenter.sh/v1", "nodepools", namespaced=False),
    "NodeClass": Kind("eks.amazonaws.com/v1", "nodeclasses", namespaced=False),
    "PodMetrics": Kind("metrics.k8s.io/v1beta1", "pods"),
    "NodeMetrics": Kind("metrics.k8s.io/v1beta1", "nodes", namespaced=False),
    "SelfSubjectAccessReview": Kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False),
    "SelfSubjectRulesReview": Kind("authorization.k8s.io/v1", "selfsubjectrulesreviews", namespaced=False),
    "SelfSubjectReview": Kind("authentication.k8s.io/v1", "selfsubjectreviews", namespaced=False),
}
"""Kueue 0.19 serves v1beta1 besides v1beta2, and clusters with an older one have only the former."""
