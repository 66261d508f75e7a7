"""The provider `gke`: rules, credentials and the kubeconfig of Google Kubernetes Engine."""

import os
from pathlib import Path

from surreal.provisioner import subprocesses
from surreal.provisioner.providers.base import GKE, on_machine_of
from surreal.provisioner.providers.gke import cluster as files
from surreal.provisioner.providers.terraform.common import Block, Machines
from surreal.provisioner.providers.terraform.provider import CLOUD_KEYS, TerraformProvider
from surreal.provisioner.spec.cluster import Cluster


class Gke(TerraformProvider):
    """Google Kubernetes Engine.

    Terraform makes the machines; gcloud writes the context that kubectl and surreal use.
    """

    name = "gke"
    keys = CLOUD_KEYS | {"project"}
    needed = {"project": "the id of a Google Cloud project", "region": "for example us-central1"}
    programs = ("gcloud", "gke-gcloud-auth-plugin")
    example_machine = "n2-standard-8"
    region_form = r"[a-z]+(-[a-z]+)+[0-9]{1,2}"
    versions = GKE

    def zone_stem(self, region: str) -> str:
        """Return `us-central1-` for the zones us-central1-a and so on."""
        return f"{region}-"

    def credentials_missing(self, root: Path) -> str | None:
        """Look at the variables, the file and the machine that Terraform's Google provider looks at."""
        given = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN")
        folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config/gcloud")
        file = folder / "application_default_credentials.json"
        if any(os.environ.get(name) for name in given) or file.exists() or on_machine_of("Google", root):
            return None
        return "no Google Cloud credentials: gcloud auth application-default login"

    def terraform(self, cluster: Cluster, machines: Machines) -> dict[str, Block]:
        """Return file name -> contents of the Terraform files."""
        return files.render(cluster, machines)

    def context(self, cluster: Cluster) -> str:
        """Return the name that gcloud gives to the context."""
        return f"gke_{cluster.spec.project}_{files.location(cluster)}_{cluster.name}"

    def write_context(self, cluster: Cluster) -> None:
        """Have gcloud write the context. Raises SurrealError with its words."""
        where = ["--location", files.location(cluster), "--project", str(cluster.spec.project)]
        subprocesses.run(["gcloud", "container", "clusters", "get-credentials", cluster.name, *where, "--quiet"])
