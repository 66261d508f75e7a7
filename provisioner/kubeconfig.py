"""The kubeconfig context of a cluster: what it is called, and how it gets there."""

from surreal.provisioner import commands
from surreal.provisioner.cluster import Cluster
from surreal.provisioner.terraform.gke import location


def context(cluster: Cluster) -> str | None:
    """The name of the cluster's context; None for the current one."""
    match cluster.spec.provider:
        case "gke":
            # what gcloud calls it
            return f"gke_{cluster.spec.project}_{location(cluster)}_{cluster.name}"
        case "existing":
            return cluster.spec.context
    return cluster.name


def write_context(cluster: Cluster) -> None:
    """Have the provider's own program write the context, and make it the current one. Raises SurrealError."""
    spec, name = cluster.spec, cluster.name
    if spec.provider == "gke":
        where = ["--location", location(cluster), "--project", str(spec.project)]
        commands.run(["gcloud", "container", "clusters", "get-credentials", name, *where, "--quiet"])
    elif spec.provider == "eks":
        where = ["--region", str(spec.region)]
        commands.run(["aws", "eks", "update-kubeconfig", "--name", name, "--alias", name, *where])
