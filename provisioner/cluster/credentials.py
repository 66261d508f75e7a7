"""What must be at hand before a cluster is touched: programs and credentials, all that is missing said at once."""

import os
from pathlib import Path

from surreal.protocol.errors import InvalidInput
from surreal.provisioner import subprocesses as commands
from surreal.provisioner.cluster.spec import Cluster
from surreal.provisioner.providers.terraform.runner import find_engine

CLI = {"gke": ("gcloud", "gke-gcloud-auth-plugin"), "eks": ("aws",), "minikube": ("minikube",), "existing": ()}
"""Provider -> the programs that reach its clusters."""
_VENDOR = Path("sys/class/dmi/id/sys_vendor")
"""Says on whose machine we are, which has credentials of its own there."""


def check(cluster: Cluster, root: Path = Path("/")) -> None:
    """Raises InvalidInput that names every program and credential that is missing, and how to get it."""
    provider = cluster.spec.provider
    missing = commands.lacking(CLI[provider])
    if provider in ("gke", "eks"):
        try:
            find_engine()
        except InvalidInput as error:
            missing.insert(0, str(error))
    if provider == "gke" and not _google(root):
        missing.append("no Google Cloud credentials: gcloud auth application-default login")
    if provider == "eks" and not _amazon(root):
        missing.append("no AWS credentials: aws configure sso, or set AWS_PROFILE")
    if missing:
        raise InvalidInput("\n".join(missing))


def _google(root: Path) -> bool:
    given = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CREDENTIALS", "GOOGLE_OAUTH_ACCESS_TOKEN")
    if any(os.environ.get(name) for name in given):
        return True
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config/gcloud")
    return (folder / "application_default_credentials.json").exists() or _machine_of("Google", root)


def _amazon(root: Path) -> bool:
    given = (
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    )
    if any(os.environ.get(name) for name in given):
        return True
    files = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
    places = [Path(os.environ.get(name) or Path.home() / ".aws" / file) for name, file in files.items()]
    return any(place.exists() for place in places) or _machine_of("Amazon", root)


def _machine_of(vendor: str, root: Path) -> bool:
    try:
        return vendor in (root / _VENDOR).read_text()
    except OSError:
        return False
