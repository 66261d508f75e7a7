"""Clusters for tests: small, valid and easily spoiled."""

from pathlib import Path
from typing import Any

from surreal.provisioner.cluster.load import cluster_from_data, load_cluster
from surreal.provisioner.spec.cluster import Cluster

GKE = """\
apiVersion: surreal.dev/v1alpha1
kind: Cluster
metadata:
  name: lab
spec:
  provider: gke
  project: my-project
  region: us-central1
  zones: [us-central1-a]
  network: {allowedCidrs: [203.0.113.7/32]}
  pools:
    - name: system
      machine: e2-standard-4
      min: 1
      max: 3
    - name: actors
      machine: n2-standard-8
      max: 40
      spot: true
"""


def spoiled(old: str, new: str) -> str:
    """The valid document with one place changed."""
    assert GKE.count(old) == 1, f"{old!r} must stand once in the document"
    return GKE.replace(old, new)


def load_text(folder: Path, text: str) -> Cluster:
    """Load a document through a real file called `cluster.yaml`."""
    path = folder / "cluster.yaml"
    path.write_text(text)
    return load_cluster(path)


def cluster(provider: str = "gke", name: str = "lab", **spec: Any) -> Cluster:
    """A checked cluster of a provider with one pool, as far as `spec` says nothing else."""
    where: dict[str, dict[str, Any]] = {
        "gke": {"project": "my-project", "region": "us-central1", "network": {"allowedCidrs": ["203.0.113.7/32"]}},
        "eks": {"region": "us-east-1", "network": {"allowedCidrs": ["203.0.113.7/32"]}},
        "minikube": {},
        "existing": {},
    }
    machine = {"gke": "n2-standard-8", "eks": "m7i.2xlarge"}.get(provider)
    size = {"machine": machine} if machine else {"resources": {"cpu": 2, "memory": "4Gi"}}
    pools = [{"name": "cpu", "min": 1, "max": 4, **size}]
    return cluster_from_data(
        {"metadata": {"name": name}, "spec": {"provider": provider, **where[provider], "pools": pools, **spec}}
    )
