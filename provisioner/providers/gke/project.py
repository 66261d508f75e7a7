"""Everything of a Google Cloud project that a cluster stands on: enabled APIs, the nodes' account, the network."""

from surreal.provisioner.providers.terraform.common import Block, short_name
from surreal.provisioner.spec.cluster import Cluster

SERVICES = ("artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "storage")
"""APIs that the cluster and its pods use."""
NODE_ROLES = {"nodes": "roles/container.defaultNodeServiceAccount", "images": "roles/artifactregistry.reader"}
"""Roles of the nodes' account: to log and to report, and to pull images from Artifact Registry."""
NODES = "${google_service_account.nodes.email}"
"""The nodes' account."""


def node_account(cluster: Cluster) -> Block:
    """Return the nodes' account, which may log, report and pull images, and reads nothing of the project's data."""
    account = {
        "account_id": short_name(cluster.name, "nodes"),
        "display_name": f"Nodes of the cluster {cluster.name}",
    }
    members = {
        key: {
            "project": "${var.project}",
            "role": role,
            "member": "serviceAccount:" + NODES,
            "depends_on": enabled("cloudresourcemanager"),
        }
        for key, role in NODE_ROLES.items()
    }
    nodes = {**account, "depends_on": enabled("iam")}
    return {"google_service_account": {"nodes": nodes}, "google_project_iam_member": members}


def services() -> Block:
    """Return the APIs that a fresh project lacks. They stay enabled: other things in the project may use them."""
    return {
        name: {"project": "${var.project}", "service": f"{name}.googleapis.com", "disable_on_destroy": False}
        for name in SERVICES
    }


def enabled(*names: str) -> list[str]:
    """Return the addresses of enabled APIs, for what comes after them."""
    return [f"google_project_service.{name}" for name in names]


def network(cluster: Cluster) -> Block:
    """Return the network of the nodes, and their way out if they have no public addresses."""
    where = {"region": "${var.region}"}
    found: Block = {
        "google_compute_network": {
            "this": {"name": cluster.name, "auto_create_subnetworks": False, "depends_on": enabled("compute")}
        },
        "google_compute_subnetwork": {
            "nodes": {
                "name": f"{cluster.name}-nodes",
                **where,
                "network": "${google_compute_network.this.id}",
                "ip_cidr_range": "${var.cidr}",
                "private_ip_google_access": True,
            }
        },
    }
    if cluster.spec.network.private_nodes:
        found["google_compute_router"] = {
            "this": {"name": cluster.name, **where, "network": "${google_compute_network.this.id}"}
        }
        found["google_compute_router_nat"] = {
            "this": {
                "name": cluster.name,
                **where,
                "router": "${google_compute_router.this.name}",
                "nat_ip_allocate_option": "AUTO_ONLY",
                "source_subnetwork_ip_ranges_to_nat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
            }
        }
    return found
