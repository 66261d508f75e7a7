"""The providers by name."""

from surreal.provisioner.providers.base import Provider
from surreal.provisioner.providers.eks.provider import Eks
from surreal.provisioner.providers.existing import Existing
from surreal.provisioner.providers.gke.provider import Gke
from surreal.provisioner.providers.minikube import Minikube
from surreal.provisioner.spec.cluster import Cluster

PROVIDERS: dict[str, Provider] = {each.name: each for each in (Minikube(), Gke(), Eks(), Existing())}
"""Name -> provider, in the order in which help texts list them."""


def provider_of(cluster: Cluster) -> Provider:
    """Return the provider of a cluster."""
    return PROVIDERS[cluster.spec.provider]
