"""The equipment of a cluster: nodes, GPUs, storage, the image and optional components.

All functions are pure: they judge objects that the API returned.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surreal.orchestrator.backends.kube.lifecycle.storage import DEFAULT_CLASS
from surreal.orchestrator.doctor import Check
from surreal.orchestrator.experiment.pod_model import default_image
from surreal.provisioner.kube.kinds import Object
from surreal.provisioner.kube.resources import GPU, Amount, amount

GPU_MARKS = ("nvidia.com/gpu.present", "cloud.google.com/gke-accelerator", "k8s.amazonaws.com/accelerator")
"""Labels of nodes that have a GPU, whether or not anything offers it to pods."""
BUILDAH = "localhost"
"""The registry that buildah and podman put before a short name."""
MINIKUBE = "minikube.k8s.io/name"
FIRST_NODE_ONLY = "k8s.io/minikube-hostpath"
"""A provisioner whose volumes are folders that only root can write on all nodes but the first."""
OPTIONAL = {
    "kueue.x-k8s.io": ("Kueue", "for spec.queue: https://kueue.sigs.k8s.io/docs/installation"),
    "jobset.x-k8s.io": ("JobSet", "for spec.queue: https://jobset.sigs.k8s.io/docs/installation"),
    "ray.io": ("KubeRay", "for runs on Ray: https://docs.ray.io/en/latest/cluster/kubernetes"),
    "batch.volcano.sh": ("Volcano", "surreal does without; spec.queue is Kueue's"),
    "metrics.k8s.io": ("metrics-server", "for surreal top: https://github.com/kubernetes-sigs/metrics-server"),
}
"""API group -> what brings it, and what it is good for."""


def nodes(found: Sequence[Object]) -> Check:
    """Count the nodes that can take pods, and their CPU and memory."""
    ready = [node for node in found if _is_ready(node)]
    total = sum((amount(node["status"]["allocatable"]) for node in ready), Amount())
    shown = f"{len(ready)} of {len(found)} ready, {total.cpu:g} CPU, {total.memory / 2**30:.1f}Gi"
    return Check("nodes", "ok" if ready else "missing", shown, "" if ready else "no pod can start: kubectl get nodes")


def gpus(found: Sequence[Object]) -> Check:
    """Count the GPUs that pods can ask for, and find nodes whose GPUs no device plugin offers."""
    offered = sum(amount(node["status"]["allocatable"]).gpus for node in found)
    marked = [node for node in found if any(mark in (node["metadata"].get("labels") or {}) for mark in GPU_MARKS)]
    idle = [node for node in marked if not amount(node["status"]["allocatable"]).gpus]
    if idle:
        how = "install NVIDIA's device plugin (minikube: minikube addons enable nvidia-device-plugin)"
        return Check("GPUs", "warn", f"{len(idle)} nodes have GPUs that pods cannot ask for", how)
    if offered:
        return Check("GPUs", "ok", f"{offered} of {GPU}")
    return Check("GPUs", "absent", "none", "roles with resources.gpu would wait for ever")


def storage(found: Sequence[Object], nodes: int) -> Check:
    """Check that a claim without a class gets a volume that each of so many nodes can write."""
    for each in found:
        marks = each["metadata"].get("annotations") or {}
        if any(marks.get(mark) == "true" for mark in DEFAULT_CLASS):
            shown = f"{each['metadata']['name']} is the default StorageClass"
            if each.get("provisioner") == FIRST_NODE_ONLY and nodes > 1:
                follows = "learners elsewhere could not write: a minikube of one node, or spec.storage.kind: emptyDir"
                return Check(
                    "storage", "warn", f"{shown}; its volumes can be written on minikube's first node only", follows
                )
            return Check("storage", "ok", shown)
    names = ", ".join(each["metadata"]["name"] for each in found) or "none at all"
    follows = "results die with the learner's pod unless spec.storage names a class or a url"
    return Check("storage", "warn", f"no default StorageClass; there is {names}", follows)


def image(found: Sequence[Object]) -> Check:
    """Check that the nodes have the default image. A kubelet names the 50 largest images of its node."""
    wanted = default_image()
    having = sum(wanted in _images(node) for node in found)
    if having == len(found) and found:
        return Check("image", "ok", f"{wanted} is on all {having} nodes")
    buildahs = f"{BUILDAH}/{wanted}"
    if any(buildahs in _images(node) for node in found):
        follows = f"call it {wanted} there (buildah tag {buildahs} docker.io/library/{wanted}, and load that), or set "
        return Check("image", "warn", f"nodes have it as {buildahs}", f"{follows}spec.image: {buildahs}")
    if any(MINIKUBE in (node["metadata"].get("labels") or {}) for node in found):
        follows = "surreal image build makes it there"
    else:
        follows = "surreal image build --tag REGISTRY/NAME:TAG --push, and spec.image names that"
    return Check("image", "warn", f"{wanted} is seen on {having} of {len(found)} nodes", follows)


def installed(groups: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Check for optional components by the API groups that the server serves: group -> versions."""
    for group, (name, purpose) in OPTIONAL.items():
        if group in groups:
            yield Check(name, "ok", f"{group} {', '.join(groups[group])}")
        else:
            yield Check(name, "absent", "not installed", purpose)


def queues(found: Sequence[Object]) -> Check:
    """Check for queues that an experiment of this namespace can name."""
    names = [each["metadata"]["name"] for each in found]
    if names:
        return Check("queues", "ok", ", ".join(names), f"spec.queue: {names[0]}")
    return Check(
        "queues", "warn", "no LocalQueue in this namespace", "surreal cluster install --set kueue.localQueue=NAME"
    )


def _is_ready(node: Object) -> bool:
    conditions = node["status"].get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node.get("spec", {}).get("unschedulable")


def _images(node: Object) -> set[str]:
    """Return the names of the images on a node, without the registry that Docker puts before short ones."""
    names = (name for each in node["status"].get("images") or () for name in each.get("names") or ())
    return {name.removeprefix("docker.io/").removeprefix("library/") for name in names}


NAME = "NetworkPolicies"
ENFORCES = {
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "anetd": "GKE Dataplane V2",
    "antrea-agent": "Antrea",
    "weave-net": "Weave Net",
    "kube-router": "kube-router",
    "azure-npm": "Azure NPM",
    "ovnkube-node": "OVN-Kubernetes",
    "kube-network-policies": "kube-network-policies",
}
"""DaemonSet -> the plugin that enforces."""
DOES_NOT = {"kube-flannel-ds": "Flannel", "kube-flannel": "Flannel"}
DEPENDS = {"kindnet": "kindnet: those of kind 0.24 and later enforce them, older ones do not"}
AWS, AWS_AGENT, AWS_SWITCH = "aws-node", "aws-eks-nodeagent", "--enable-network-policy=true"
UNPROTECTED = (
    "every pod of the cluster can reach the ports of experiments, which only their keys guard then; a plugin such as "
    "Calico closes them (minikube: cni: calico)"
)


def enforcement(daemon_sets: Sequence[Object]) -> Check:
    """Tell from a cluster's DaemonSets whether it enforces NetworkPolicies."""
    there = {each["metadata"]["name"]: each for each in daemon_sets}
    if found := [name for name in ENFORCES if name in there]:
        return Check(NAME, "ok", f"{ENFORCES[found[0]]} enforces them")
    if AWS in there:
        return _aws(there[AWS]["spec"]["template"]["spec"])
    if found := [name for name in DOES_NOT if name in there]:
        return Check(NAME, "warn", f"{DOES_NOT[found[0]]} does not enforce them", UNPROTECTED)
    if found := [name for name in DEPENDS if name in there]:
        return Check(NAME, "unknown", DEPENDS[found[0]], "with cni: calico it is certain")
    return Check(NAME, "unknown", "no DaemonSet of a known network plugin", "ask the cluster's administrator")


def _aws(pod: Mapping[str, Any]) -> Check:
    agents = [each for each in pod["containers"] if each["name"] == AWS_AGENT]
    if any(AWS_SWITCH in (each.get("args") or ()) for each in agents):
        return Check(NAME, "ok", "the VPC CNI's agent enforces them")
    follows = f"{UNPROTECTED}; on EKS set enableNetworkPolicy of the add-on vpc-cni"
    return Check(NAME, "warn", "the VPC CNI's agent is switched off", follows)
