"""Rendered Terraform: pinned by golden files, and of arguments that the providers know."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from surreal.provisioner.cluster import Cluster, load_cluster
from surreal.provisioner.machines import machine_table
from surreal.provisioner.terraform.folder import files, text
from tests.provisioner.clusters import cluster

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples/clusters"
GOLDEN = HERE / "golden"


def autoprovisioned(provider: str, machine: str) -> Cluster:
    pools = [
        {"name": "system", "machine": {"gke": "e2-standard-4", "eks": "m7i.xlarge"}[provider], "min": 1, "max": 2},
        {"name": "auto", "machine": machine, "max": 8, "autoprovision": True, "spot": True},
    ]
    return cluster(provider, pools=pools, deletionProtection=True)


CLUSTERS = {
    "gke": lambda: load_cluster(EXAMPLES / "gke.yaml"),
    "eks": lambda: load_cluster(EXAMPLES / "eks.yaml"),
    "gke-autoprovision": lambda: autoprovisioned("gke", "g2-standard-12"),
    "eks-autoprovision": lambda: autoprovisioned("eks", "g6.4xlarge"),
}


def rendered(name: str) -> dict[str, Any]:
    return files(CLUSTERS[name](), machine_table())[0]


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_files_are_those_on_record(name: str) -> None:
    """After a wanted change: SURREAL_WRITE_GOLDEN=1 pytest tests/provisioner/test_terraform.py, and read the diff."""
    folder = GOLDEN / name
    found = rendered(name)
    if os.environ.get("SURREAL_WRITE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for file, contents in found.items():
            (folder / file).write_text(text(contents))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {f: text(c) for f, c in found.items()}
    assert json.loads(text(found)) == found
