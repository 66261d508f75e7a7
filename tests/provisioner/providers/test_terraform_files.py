"""Rendered Terraform: pinned by golden files, and of arguments that the providers know."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surreal.provisioner.cluster.lifecycle import rendered as rendered_files
from surreal.provisioner.cluster.load import load_cluster
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.spec.cluster import Cluster
from tests.provisioner.clusters import cluster
from tests.provisioner.providers.arguments import complaints
from tests.provisioner.providers.hcl import to_hcl

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples/clusters"
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
    return files(CLUSTERS[name]())


def files(cluster: Cluster) -> dict[str, Any]:
    """File name -> the data that its text says."""
    found, _ = rendered_files(cluster, machine_table())
    return {name: json.loads(text) for name, text in found.items()}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_files_are_those_on_record(name: str) -> None:
    """After a wanted change run this file with SURREAL_WRITE_GOLDEN=1, and read the diff."""
    folder = GOLDEN / name
    found, _ = rendered_files(CLUSTERS[name](), machine_table())
    if os.environ.get("SURREAL_WRITE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for file, contents in found.items():
            (folder / file).write_text(contents)
    assert {path.name: path.read_text() for path in folder.iterdir()} == found


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_argument_is_one_that_the_provider_knows_and_none_that_it_needs_is_missing(name: str) -> None:
    assert complaints(rendered(name)["main.tf.json"]) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda node: node.pop("cluster"), ["google_container_node_pool.system: misses cluster"]),
        (lambda node: node.update(nodes=3), ["google_container_node_pool.system: does not know nodes"]),
        (
            lambda node: node["node_config"].update(taint=[{"key": "a", "effect": "NO_SCHEDULE"}]),
            ["google_container_node_pool.system.node_config.taint: misses value"],
        ),
        (
            lambda node: node.update(autoscaling=[node["autoscaling"], node["autoscaling"]]),
            ["google_container_node_pool.system: has several autoscaling"],
        ),
    ],
)
def test_the_check_against_the_providers_finds_what_it_is_for(spoil: Any, said: list[str]) -> None:
    main = rendered("gke")["main.tf.json"]
    spoil(main["resource"]["google_container_node_pool"]["system"])
    assert complaints(main) == said


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_reference_leads_to_something_in_the_files(name: str) -> None:
    found = rendered(name)
    main = found["main.tf.json"]
    there = {f"{kind}.{key}" for kind, keys in main["resource"].items() for key in keys}
    there |= {f"data.{kind}.{key}" for kind, keys in main.get("data", {}).items() for key in keys}
    there |= {f"local.{key}" for key in main.get("locals", {})}
    there |= {f"var.{key}" for key in found["variables.tf.json"]["variable"]}
    whole = json.dumps([main, found["outputs.tf.json"]])
    expressions = " ".join(re.findall(r"\$\{(.*?)\}", whole))
    used = set(re.findall(r"(?<![\w.])((?:data\.)?(?:aws|google)_\w+\.[\w-]+|(?:var|local)\.\w+)", expressions))
    after = set(re.findall(r'"((?:aws|google)_\w+\.[\w-]+)"', whole))
    assert used | after <= there
    assert {name for name in there if name.startswith("var.")} <= used


@pytest.mark.skipif(not shutil.which("terraform"), reason="terraform is not on PATH")
@pytest.mark.parametrize("name", CLUSTERS)
def test_terraform_itself_reads_every_expression(name: str) -> None:
    said = subprocess.run(
        ["terraform", "fmt", "-"], input=to_hcl(rendered(name)["main.tf.json"]), capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    assert "google_container_cluster" in said.stdout or "aws_eks_cluster" in said.stdout


pools = st.lists(
    st.fixed_dictionaries(
        {"machine": st.sampled_from(["n2-standard-8", "g2-standard-12"]), "max": st.integers(1, 9)},
        optional={
            "min": st.just(0),
            "spot": st.booleans(),
            "autoprovision": st.booleans(),
            "disk": st.sampled_from(["50Gi", "100G"]),
            "labels": st.just({"team": "rl"}),
            "taints": st.just([{"key": "team", "value": "rl", "effect": "NoExecute"}]),
        },
    ),
    min_size=1,
    max_size=4,
)
others = st.fixed_dictionaries(
    {},
    optional={
        "zones": st.sampled_from(["ab", "abc"]),
        "store": st.sampled_from([{"bucket": "runs-of-mine"}, {"bucket": "runs-of-mine", "create": False}]),
        "state": st.sampled_from(
            [{"backend": "gcs", "bucket": "abc"}, {"backend": "s3", "bucket": "abc", "region": "x"}]
        ),
        "deletionProtection": st.booleans(),
        "kubernetes": st.just({"version": "1.99"}),
        "private": st.booleans(),
    },
)
AMAZONS = {"n2-standard-8": "m7i.2xlarge", "g2-standard-12": "g6.4xlarge"}


@settings(deadline=None, max_examples=40)
@given(provider=st.sampled_from(["gke", "eks"]), pools=pools, spec=others)
def test_whatever_a_file_says_the_providers_would_take(
    provider: str, pools: list[dict[str, Any]], spec: dict[str, Any]
) -> None:
    stem = {"gke": "us-central1-", "eks": "us-east-1"}[provider]
    network = {"allowedCidrs": ["203.0.113.7/32"], "privateNodes": spec.pop("private", True)}
    zones: dict[str, Any] = {"zones": [stem + letter for letter in spec.pop("zones")]} if "zones" in spec else {}
    named = [{**pool, "name": f"pool-{index}"} for index, pool in enumerate(pools)]
    if provider == "eks":
        named = [{**pool, "machine": AMAZONS[pool["machine"]]} for pool in named]
    found = files(cluster(provider, pools=named, network=network, **spec, **zones))
    main = found["main.tf.json"]
    assert complaints(main) == []
    assert all(items for items in main["resource"].values()), "a kind without a resource is a syntax error"
    groups = {
        **main["resource"].get("google_container_node_pool", {}),
        **main["resource"].get("aws_eks_node_group", {}),
    }
    objects = found.get("objects.json", {"items": []})["items"]
    made_to_measure = {item["metadata"]["name"] for item in objects if item["kind"] == "NodePool"}
    fixed = {pool["name"] for pool in named if not pool.get("autoprovision")}
    assert {re.sub("-zone-[a-z]$", "", group) for group in groups} == fixed
    assert made_to_measure == ({pool["name"] for pool in named} - fixed if provider == "eks" else set())
