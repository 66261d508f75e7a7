"""Rights in the account of a cluster on EKS: control plane, nodes, and single service accounts (IRSA, Pod Identity)."""

import json
from dataclasses import dataclass
from typing import Any

from surreal.provisioner.providers.terraform.common import Block, fixed_pools, made_to_measure, short_name
from surreal.provisioner.spec.cluster import Cluster

_POLICY = "arn:${data.aws_partition.this.partition}:iam::aws:policy/"
_ISSUER = "${local.issuer}"
# a policy is JSON in a string: an expression with quotes in it would not survive there
LOCALS = {"issuer": '${replace(aws_iam_openid_connect_provider.this.url, "https://", "")}'}
MAX_ROLE = 64
"""Longest name of a role."""

_CLUSTER = ["AmazonEKSClusterPolicy"]
_CLUSTER_AUTO = [
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
]
_NODE = ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"]
_NODE_AUTO = ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"]


@dataclass(frozen=True)
class Subject:
    """A Kubernetes service account that gets a role of its own."""

    key: str
    namespace: str
    service_account: str
    statements: tuple[dict[str, Any], ...] = ()
    managed: tuple[str, ...] = ()
    """AWS's own policies."""
    pod_identity: bool = False
    """Gets its role by an association of EKS Pod Identity, so that the account needs no annotation."""


def roles(cluster: Cluster, subjects: list[Subject]) -> Block:
    """Return roles, their policies, and the identity provider that lets a service account take its role."""
    auto = bool(made_to_measure(cluster))
    attached = {"cluster": _CLUSTER + (_CLUSTER_AUTO if auto else [])}
    # Auto Mode's own role lets its nodes do less than ours must
    if auto:
        attached["auto"] = _NODE_AUTO
    if fixed_pools(cluster):
        attached["node"] = _NODE
    attached |= {subject.key: list(subject.managed) for subject in subjects if subject.managed}
    trust = {"cluster": _trust("eks.amazonaws.com", auto)}
    trust |= {key: _trust("ec2.amazonaws.com") for key in ("auto", "node") if key in attached}
    trust |= {each.key: _trust("pods.eks.amazonaws.com", tags=True) for each in subjects if each.pod_identity}
    trust |= {each.key: _web_identity(each) for each in subjects if not each.pod_identity}
    resources: Block = {
        "aws_iam_role": {
            key: {"name": short_name(cluster.name, key, MAX_ROLE), "assume_role_policy": json.dumps(policy)}
            for key, policy in trust.items()
        },
        "aws_iam_role_policy_attachment": {
            f"{key}_{policy}": {"role": f"${{aws_iam_role.{key}.name}}", "policy_arn": policy_arn(policy)}
            for key, policies in attached.items()
            for policy in policies
        },
    }
    own = {subject.key: _own_policy(subject) for subject in subjects if subject.statements}
    if own:
        resources["aws_iam_role_policy"] = own
    if associated := [each for each in subjects if each.pod_identity]:
        resources["aws_eks_pod_identity_association"] = {each.key: _association(each) for each in associated}
    if any(not each.pod_identity for each in subjects):
        resources["aws_iam_openid_connect_provider"] = {
            "this": {
                "url": "${aws_eks_cluster.this.identity[0].oidc[0].issuer}",
                "client_id_list": ["sts.amazonaws.com"],
            }
        }
    return resources


def _association(subject: Subject) -> Block:
    return {
        "cluster_name": "${aws_eks_cluster.this.name}",
        "namespace": subject.namespace,
        "service_account": subject.service_account,
        "role_arn": f"${{aws_iam_role.{subject.key}.arn}}",
    }


def policy_arn(policy: str) -> str:
    """Return the ARN of one of AWS's own policies; the driver of EBS has its own folder."""
    folder = "service-role/" if policy == "AmazonEBSCSIDriverPolicy" else ""
    return _POLICY + folder + policy


def attachments(resources: Block, key: str) -> list[str]:
    """Return the addresses of a role's attached policies: users of the role are made after and go before them."""
    kind = "aws_iam_role_policy_attachment"
    return [f"{kind}.{name}" for name in resources[kind] if name.startswith(f"{key}_")]


def _trust(service: str, tags: bool = False) -> Block:
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if tags else [])]
    return _policy({"Effect": "Allow", "Principal": {"Service": service}, "Action": actions})


def _web_identity(subject: Subject) -> Block:
    who = f"system:serviceaccount:{subject.namespace}:{subject.service_account}"
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": "${aws_iam_openid_connect_provider.this.arn}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{_ISSUER}:sub": who, f"{_ISSUER}:aud": "sts.amazonaws.com"}},
        }
    )


def _own_policy(subject: Subject) -> Block:
    return {
        "name": subject.key,
        "role": f"${{aws_iam_role.{subject.key}.id}}",
        "policy": json.dumps(_policy(*subject.statements)),
    }


def _policy(*statements: dict[str, Any]) -> Block:
    return {"Version": "2012-10-17", "Statement": list(statements)}
