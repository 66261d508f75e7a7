"""A Cluster on Amazon's Elastic Kubernetes Service: control plane, managed node groups or Auto Mode, and the run store.

Arguments are those of the providers hashicorp/aws 6 and hashicorp/helm 3.
"""

from surreal.provisioner.providers.eks import addons, groups
from surreal.provisioner.providers.eks.network import network, node_subnets
from surreal.provisioner.providers.eks.roles import LOCALS, Subject, attachments, roles
from surreal.provisioner.providers.terraform.common import (
    MANAGED,
    Block,
    Machines,
    fixed_pools,
    made_to_measure,
    output,
    settings,
    shared_variables,
)
from surreal.provisioner.spec.cluster import Cluster, StoreSpec

_CLUSTER = "${aws_eks_cluster.this.name}"
_ORDINARY_ZONES = {"state": "available", "filter": {"name": "opt-in-status", "values": ["opt-in-not-required"]}}
"""Not the local zones near some cities, where EKS has no control plane."""
_NODE_TEMPLATE = "k8s.io/cluster-autoscaler/node-template/"


def render(cluster: Cluster, machines: Machines) -> dict[str, Block]:
    """Return file name -> contents, as Terraform JSON."""
    fixed = fixed_pools(cluster)
    subjects = _subjects(cluster)
    irsa = [subject for subject in subjects if not subject.pod_identity]
    resources: Block = {**network(cluster), **roles(cluster, subjects)}
    resources["aws_eks_cluster"] = {"this": _cluster(cluster, attachments(resources, "cluster"))}
    providers = {"aws": ("hashicorp/aws", "~> 6.0")}
    main: Block = {
        "provider": {
            "aws": {
                "region": "${var.region}",
                "default_tags": [{"tags": {**MANAGED, "surreal-cluster": cluster.name}}],
            }
        },
        "data": {"aws_partition": {"this": {}}},
        **({"locals": LOCALS} if irsa else {}),
        "resource": resources,
    }
    if not cluster.spec.zones:
        main["data"]["aws_availability_zones"] = {"available": _ORDINARY_ZONES}
    if fixed:
        providers["helm"] = ("hashicorp/helm", "~> 3.0")
        main["provider"]["helm"] = addons.helm_provider()
        ready = [*attachments(resources, "node"), "aws_eks_addon.vpc_cni", "aws_eks_addon.kube_proxy"]
        resources |= groups.node_groups(cluster, machines, ready)
        resources["aws_eks_addon"] = addons.eks_addons(cluster)
        resources["helm_release"] = addons.releases(cluster, machines)
    if cluster.spec.store:
        resources.update(_store(cluster.spec.store))
    return {
        "main.tf.json": {"terraform": settings(cluster, providers), **main},
        "variables.tf.json": {"variable": shared_variables(cluster)},
        "outputs.tf.json": {"output": _outputs(cluster)},
    }


def _subjects(cluster: Cluster) -> list[Subject]:
    """Return the service accounts with roles of their own."""
    subjects = [addons.EBS, addons.autoscaler(cluster)] if fixed_pools(cluster) else []
    store = cluster.spec.store
    if store:
        bucket = f"arn:${{data.aws_partition.this.partition}}:s3:::{store.bucket}"
        statements = (
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": bucket},
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                "Resource": f"{bucket}/*",
            },
        )
        subjects.append(Subject("store", store.namespace, store.service_account, statements, pod_identity=True))
    return subjects


def _cluster(cluster: Cluster, after: list[str]) -> Block:
    spec = cluster.spec
    block: Block = {
        "name": cluster.name,
        "role_arn": "${aws_iam_role.cluster.arn}",
        "deletion_protection": "${var.deletion_protection}",
        # network, proxy and DNS come as add-ons that are kept up to date, or with Auto Mode
        "bootstrap_self_managed_addons": False,
        "enabled_cluster_log_types": ["audit", "authenticator"],
        "access_config": {"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
        "upgrade_policy": {"support_type": "STANDARD"},
        "vpc_config": {
            "subnet_ids": node_subnets(cluster),
            "endpoint_private_access": True,
            "endpoint_public_access": True,
            "public_access_cidrs": "${var.allowed_cidrs}",
        },
        "depends_on": after,
    }
    if spec.kubernetes.version:
        block["version"] = spec.kubernetes.version
    if made_to_measure(cluster):
        # Auto Mode wants all three or none
        block["compute_config"] = {
            "enabled": True,
            "node_pools": ["system"],
            "node_role_arn": "${aws_iam_role.auto.arn}",
        }
        block["kubernetes_network_config"] = {"elastic_load_balancing": {"enabled": True}}
        block["storage_config"] = {"block_storage": {"enabled": True}}
    return block


def _store(store: StoreSpec) -> Block:
    if not store.create:
        return {}
    bucket = {"bucket": "${aws_s3_bucket.store.id}"}
    closed = ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"]
    rule = {"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"}, "bucket_key_enabled": True}
    return {
        "aws_s3_bucket": {"store": {"bucket": store.bucket, "force_destroy": False}},
        "aws_s3_bucket_public_access_block": {"store": {**bucket, **dict.fromkeys(closed, True)}},
        "aws_s3_bucket_server_side_encryption_configuration": {"store": {**bucket, "rule": [rule]}},
    }


def _outputs(cluster: Cluster) -> Block:
    found = {
        "cluster": output("Name of the cluster.", _CLUSTER),
        "location": output("Its region.", "${var.region}"),
    }
    if cluster.spec.store:
        found["store"] = output("Where runs are kept.", f"s3://{cluster.spec.store.bucket}")
        found["store_role"] = output("Role of the pods that may use the bucket.", "${aws_iam_role.store.arn}")
    return found
