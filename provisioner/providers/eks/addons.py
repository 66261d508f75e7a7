"""Software that a cluster on EKS with fixed pools needs before any pod runs: EKS add-ons and two charts.

Auto Mode has all of it built in.
"""

import json

from surreal.provisioner.pools.labels import POOL
from surreal.provisioner.providers.eks.groups import group_addresses
from surreal.provisioner.providers.eks.roles import Subject
from surreal.provisioner.providers.terraform.common import Block, Machines, fixed_pools
from surreal.provisioner.spec.cluster import Cluster

SYSTEM = "kube-system"
AUTOSCALER_CHART = "9.59.0"
DEVICE_PLUGIN_CHART = "0.18.0"

EBS = Subject("ebs", SYSTEM, "ebs-csi-controller-sa", managed=("AmazonEBSCSIDriverPolicy",))


def autoscaler(cluster: Cluster) -> Subject:
    """Return the rights of the cluster autoscaler: look at everything, change only the groups of this cluster."""
    looks = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeTags",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
        "eks:DescribeNodegroup",
    ]
    changes = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    ours = {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster.name}": "owned"}
    return Subject(
        "autoscaler",
        SYSTEM,
        "cluster-autoscaler",
        statements=(
            {"Effect": "Allow", "Action": looks, "Resource": "*"},
            {"Effect": "Allow", "Action": changes, "Resource": "*", "Condition": {"StringEquals": ours}},
        ),
    )


def eks_addons(cluster: Cluster) -> Block:
    """Return the EKS add-ons. Those that a node needs to become ready come before the nodes, the others after them."""
    nodes = group_addresses(cluster)
    return {
        # which also enforces network policies
        "vpc_cni": _addon("vpc-cni", configuration_values=json.dumps({"enableNetworkPolicy": "true"})),
        "kube_proxy": _addon("kube-proxy"),
        "coredns": _addon("coredns", depends_on=nodes),
        **({"pod_identity": _addon("eks-pod-identity-agent")} if cluster.spec.store else {}),
        "ebs": _addon(
            "aws-ebs-csi-driver",
            service_account_role_arn=f"${{aws_iam_role.{EBS.key}.arn}}",
            configuration_values=json.dumps({"defaultStorageClass": {"enabled": True}}),
            depends_on=nodes,
        ),
    }


def _addon(name: str, **arguments: object) -> Block:
    base = {"cluster_name": "${aws_eks_cluster.this.name}", "addon_name": name}
    return {**base, "resolve_conflicts_on_create": "OVERWRITE", "resolve_conflicts_on_update": "OVERWRITE", **arguments}


def releases(cluster: Cluster, machines: Machines) -> Block:
    """Return the charts that add and remove nodes, and that tell Kubernetes of their GPUs."""
    nodes = group_addresses(cluster)
    found = {
        "cluster_autoscaler": {
            "name": "cluster-autoscaler",
            "namespace": SYSTEM,
            "repository": "https://kubernetes.github.io/autoscaler",
            "chart": "cluster-autoscaler",
            "version": AUTOSCALER_CHART,
            "values": [json.dumps(_autoscaler_values(cluster))],
            "depends_on": [*nodes, "aws_iam_role_policy.autoscaler"],
        }
    }
    with_gpus = [pool.name for pool in fixed_pools(cluster) if machines[pool.name].gpus]
    if with_gpus:
        found["nvidia_device_plugin"] = {
            "name": "nvidia-device-plugin",
            "namespace": SYSTEM,
            "repository": "https://nvidia.github.io/k8s-device-plugin",
            "chart": "nvidia-device-plugin",
            "version": DEVICE_PLUGIN_CHART,
            "values": [json.dumps(_device_plugin_values(with_gpus))],
            "depends_on": nodes,
        }
    return found


def _autoscaler_values(cluster: Cluster) -> Block:
    role = {"eks.amazonaws.com/role-arn": "${aws_iam_role.autoscaler.arn}"}
    return {
        "autoDiscovery": {"clusterName": cluster.name},
        "awsRegion": "${var.region}",
        "rbac": {"serviceAccount": {"name": "cluster-autoscaler", "annotations": role}},
        # GPUs that are idle are the first thing to give back
        "extraArgs": {
            "scale-down-unneeded-time": "5m",
            "skip-nodes-with-system-pods": False,
            # the groups of one pool, one in each zone, grow together
            "balance-similar-node-groups": True,
        },
    }


def _device_plugin_values(pools: list[str]) -> Block:
    """Return values that put it on the pools with GPUs; by itself the chart waits for labels of a feature discovery."""
    term = {"matchExpressions": [{"key": POOL, "operator": "In", "values": pools}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": affinity}, "tolerations": [{"operator": "Exists"}]}


def helm_provider() -> Block:
    """Return how Terraform reaches the cluster that it has just made: with the token of the user who applies."""
    arguments = ["eks", "get-token", "--cluster-name", "${aws_eks_cluster.this.name}", "--region", "${var.region}"]
    return {
        "kubernetes": {
            "host": "${aws_eks_cluster.this.endpoint}",
            "cluster_ca_certificate": "${base64decode(aws_eks_cluster.this.certificate_authority[0].data)}",
            "exec": {"api_version": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": arguments},
        }
    }
