"""Does anything in a cluster enforce NetworkPolicies? Kubernetes only stores them; its network plugin does it, or not,
and no field of the API says so. The DaemonSets tell which plugin there is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from surreal.orchestrator.doctor import Check
from surreal.orchestrator.kube.names import Object

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
    """What the DaemonSets of a cluster say about it."""
    there = {each["metadata"]["name"]: each for each in daemon_sets}
    if found := [name for name in ENFORCES if name in there]:
        return Check(NAME, "ok", f"{ENFORCES[found[0]]} enforces them")
    if AWS in there:
        return _aws(there[AWS]["spec"]["template"]["spec"])
    if found := [name for name in DOES_NOT if name in there]:
        return Check(NAME, "warn", f"{DOES_NOT[found[0]]} does not enforce them", UNPROTECTED)
    if found := [name for name in DEPENDS if name in there]:
        return Check(NAME, "unknown", DEPENDS[found[0]], "with cni: calico it is certain")
    return Check(NAME, "unknown", "no DaemonSet of a known network plugin", "ask whoever runs the cluster")


def _aws(pod: Mapping[str, Any]) -> Check:
    agents = [each for each in pod["containers"] if each["name"] == AWS_AGENT]
    if any(AWS_SWITCH in (each.get("args") or ()) for each in agents):
        return Check(NAME, "ok", "the VPC CNI's agent enforces them")
    follows = f"{UNPROTECTED}; on EKS set enableNetworkPolicy of the add-on vpc-cni"
    return Check(NAME, "warn", "the VPC CNI's agent is switched off", follows)
