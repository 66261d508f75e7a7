"""A Cluster on Google Kubernetes Engine: a regional or zonal cluster, its network, node pools and the run store.

Arguments are those of the provider hashicorp/google 7.
"""

from surreal.provisioner.machine_types import Machine
from surreal.provisioner.providers.gke.project import NODE_ROLES, NODES, enabled, network, node_account, services
from surreal.provisioner.providers.terraform.common import (
    MANAGED,
    Block,
    Machines,
    fixed_pools,
    gigabytes,
    made_to_measure,
    node_labels,
    node_taints,
    output,
    settings,
    shared_variables,
    taint_blocks,
    variable,
)
from surreal.provisioner.spec.cluster import Cluster, PoolSpec, StoreSpec

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
"""All scopes: the roles of a node's service account limit it, not scopes."""
REGION_ZONES = 3
"""Zones that GKE spreads a regional cluster over when none are named."""
_MANAGEMENT = {"auto_repair": True, "auto_upgrade": True}


def render(cluster: Cluster, machines: Machines) -> dict[str, Block]:
    """Return file name -> contents, as Terraform JSON."""
    spec = cluster.spec
    resources: Block = {
        "google_project_service": services(),
        **network(cluster),
        **node_account(cluster),
        "google_container_cluster": {"this": _cluster(cluster, machines)},
        "google_container_node_pool": {
            pool.name: _pool(cluster, pool, machines[pool.name]) for pool in fixed_pools(cluster)
        },
    }
    main: Block = {
        "terraform": settings(cluster, {"google": ("hashicorp/google", "~> 7.0")}),
        "provider": {
            "google": {
                "project": "${var.project}",
                "region": "${var.region}",
                "default_labels": {**MANAGED, "surreal-cluster": cluster.name},
            }
        },
    }
    if spec.store:
        after = enabled("cloudresourcemanager")
        main["data"] = {"google_project": {"this": {"project_id": "${var.project}", "depends_on": after}}}
        resources.update(_store(spec.store))
    # a kind without a resource is a syntax error
    main["resource"] = {kind: found for kind, found in resources.items() if found}
    return {
        "main.tf.json": main,
        "variables.tf.json": {
            "variable": {
                "project": variable("Google Cloud project.", "string", spec.project),
                **shared_variables(cluster),
            }
        },
        "outputs.tf.json": {"output": _outputs(cluster)},
    }


def location(cluster: Cluster) -> str:
    """Return the zone of a cluster in one zone, else its region."""
    zones = cluster.spec.zones
    return zones[0] if len(zones) == 1 else str(cluster.spec.region)


def _cluster(cluster: Cluster, machines: Machines) -> Block:
    spec = cluster.spec
    block: Block = {
        "name": cluster.name,
        "location": location(cluster),
        "deletion_protection": "${var.deletion_protection}",
        # a cluster cannot be made without a pool: one of its own is made, removed, and ours take its place
        "remove_default_node_pool": True,
        "initial_node_count": 1,
        "node_config": _node_identity(secure_boot=True),
        "network": "${google_compute_network.this.id}",
        "subnetwork": "${google_compute_subnetwork.nodes.id}",
        "networking_mode": "VPC_NATIVE",
        "ip_allocation_policy": {},
        # Dataplane V2 enforces network policies by itself
        "datapath_provider": "ADVANCED_DATAPATH",
        "release_channel": {"channel": spec.kubernetes.channel.upper()},
        "workload_identity_config": {"workload_pool": "${var.project}.svc.id.goog"},
        **_api_access(),
        "cost_management_config": {"enabled": True},
        "depends_on": [*(f"google_project_iam_member.{key}" for key in NODE_ROLES), *enabled("container")],
        "lifecycle": {"ignore_changes": ["node_config", "initial_node_count"]},
    }
    if len(spec.zones) > 1:
        block["node_locations"] = list(spec.zones)
    if spec.kubernetes.version:
        block["min_master_version"] = spec.kubernetes.version
    if spec.network.private_nodes:
        block["private_cluster_config"] = {"enable_private_nodes": True, "enable_private_endpoint": False}
    if spec.store:
        block["addons_config"] = {"gcs_fuse_csi_driver_config": {"enabled": True}}
    if made_to_measure(cluster):
        block["cluster_autoscaling"] = _autoprovisioning(cluster, machines)
    return block


def _api_access() -> Block:
    """Return the networks that reach the control plane, none of them by a certificate."""
    networks = {"for_each": "${var.allowed_cidrs}", "content": {"cidr_block": "${cidr_blocks.value}"}}
    return {
        "master_auth": {"client_certificate_config": {"issue_client_certificate": False}},
        "master_authorized_networks_config": {
            "gcp_public_cidrs_access_enabled": False,
            "dynamic": {"cidr_blocks": networks},
        },
    }


def _node_identity(secure_boot: bool) -> Block:
    """Return the identity that all nodes have to the cloud, and the parts of it that pods cannot reach."""
    return {
        "service_account": NODES,
        "oauth_scopes": SCOPES,
        "metadata": {"disable-legacy-endpoints": "true"},
        "workload_metadata_config": {"mode": "GKE_METADATA"},
        "shielded_instance_config": {"enable_secure_boot": secure_boot, "enable_integrity_monitoring": True},
        "kubelet_config": {"insecure_kubelet_readonly_port_enabled": "FALSE"},
    }


def _autoprovisioning(cluster: Cluster, machines: Machines) -> Block:
    """Return limits of node auto-provisioning, which makes node pools for what pending pods select and tolerate.

    Its limits count the nodes of the fixed pools too.
    """
    totals = {"cpu": 0.0, "memory": 0.0}
    for pool in cluster.spec.pools:
        machine = machines[pool.name]
        totals["cpu"] += pool.max * machine.cpu
        totals["memory"] += pool.max * machine.memory / 2**30
        if machine.gpu_type:
            totals[machine.gpu_type] = totals.get(machine.gpu_type, 0) + pool.max * machine.gpus
    defaults: Block = {
        "service_account": NODES,
        "oauth_scopes": SCOPES,
        "disk_size": max(gigabytes(pool.disk) for pool in made_to_measure(cluster)),
        "management": _MANAGEMENT,
        "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
    }
    return {
        "enabled": True,
        "autoscaling_profile": "OPTIMIZE_UTILIZATION",
        "resource_limits": [{"resource_type": kind, "maximum": -int(-total // 1)} for kind, total in totals.items()],
        "auto_provisioning_defaults": [defaults],
    }


def _pool(cluster: Cluster, pool: PoolSpec, machine: Machine) -> Block:
    zones = pool.zones or cluster.spec.zones
    node: Block = {
        **_node_identity(secure_boot=not machine.gpus),
        "machine_type": pool.machine,
        "disk_size_gb": gigabytes(pool.disk),
        "spot": pool.spot,
        "labels": node_labels(cluster, pool),
        "taint": taint_blocks(node_taints(cluster, pool, machine)),
        "gcfs_config": {"enabled": True},
        "gvnic": {"enabled": True},
    }
    if machine.gpus:
        driver = {"gpu_driver_version": "DEFAULT"}
        node["guest_accelerator"] = [
            {"type": machine.gpu_type, "count": machine.gpus, "gpu_driver_installation_config": driver}
        ]
    block: Block = {
        "name": pool.name,
        "cluster": "${google_container_cluster.this.id}",
        "initial_node_count": _initial(pool, len(zones) or REGION_ZONES),
        # of all zones together; the limits without `total` are those of one zone
        "autoscaling": {
            "total_min_node_count": pool.min,
            "total_max_node_count": pool.max,
            "location_policy": "ANY" if pool.spot or machine.gpus else "BALANCED",
        },
        "management": _MANAGEMENT,
        "node_config": node,
        "lifecycle": {"ignore_changes": ["initial_node_count"]},
    }
    if pool.zones:
        block["node_locations"] = list(pool.zones)
    return block


def _initial(pool: PoolSpec, zones: int) -> int:
    """Return nodes of each zone at the beginning: as many as `min` needs, but no more than `max` allows."""
    least = -(-pool.min // zones)
    return least if least * zones <= pool.max else pool.min // zones


def _store(store: StoreSpec) -> Block:
    """Return the bucket, and the right of one Kubernetes service account to use it, without any key."""
    bucket = "${google_storage_bucket.store.name}" if store.create else store.bucket
    project = "${data.google_project.this.number}"
    resources: Block = {
        "google_storage_bucket_iam_member": {
            "store": {
                "bucket": bucket,
                "role": "roles/storage.objectUser",
                "member": f"principal://iam.googleapis.com/projects/{project}/locations/global/workloadIdentityPools/"
                f"${{var.project}}.svc.id.goog/subject/ns/{store.namespace}/sa/{store.service_account}",
                # the pool of identities is made with the first cluster of a project
                "depends_on": ["google_container_cluster.this"],
            }
        }
    }
    if store.create:
        resources["google_storage_bucket"] = {
            "store": {
                "name": store.bucket,
                "location": "${var.region}",
                "uniform_bucket_level_access": True,
                "public_access_prevention": "enforced",
                "force_destroy": False,
            }
        }
    return resources


def _outputs(cluster: Cluster) -> Block:
    found = {
        "cluster": output("Name of the cluster.", "${google_container_cluster.this.name}"),
        "location": output("Its zone or region.", "${google_container_cluster.this.location}"),
    }
    if cluster.spec.store:
        found["store"] = output("Where runs are kept.", f"gs://{cluster.spec.store.bucket}")
    return found
