"""cluster.yaml: what it says is complete and strict, and every mistake names its line."""

from pathlib import Path
from typing import Any

import pytest

from surreal.protocol.documents.yaml import load
from surreal.protocol.errors import InvalidInput
from surreal.provisioner.cluster.load import cluster_from_data, cluster_schema, load_cluster
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.pools.from_file import declared_pools
from surreal.provisioner.pools.labels import platform_of
from tests.provisioner.clusters import GKE, cluster, load_text, spoiled

EXAMPLES = sorted((Path(__file__).parents[3] / "examples/clusters").glob("*.yaml"))


def refusal(folder: Path, text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        load_text(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_valid_and_survive_yaml(path: Path) -> None:
    read = load_cluster(path)
    assert cluster_from_data(load(read.to_yaml(), read.source)[0]) == read


MISTAKES = [
    ("provider: gke", "provider: gek", "6: spec.provider: must be 'minikube', 'gke', 'eks' or 'existing', not 'gek'"),
    ("project: my-project", "projekt: x", "7: spec.projekt: unknown key 'projekt' (did you mean 'project'?)"),
    ("project: my-project", "project: my-project\n  project: b", "8: duplicate key 'project'"),
    ("  project: my-project\n", "", "5: spec: project is missing: gke needs it, the id of a Google Cloud project"),
    ("  region: us-central1\n", "", "5: spec: region is missing: gke needs it, for example us-central1"),
    ("region: us-central1", "region: US Central", "8: spec.region: must be lower-case letters, digits"),
    ("[us-central1-a]", "[us-east1-b]", "9: spec.zones.0: must be a zone of us-central1 such as us-central1-a, not"),
    ("[us-central1-a]", "[us-central1-a, us-central1-a]", "9: spec.zones.1: 'us-central1-a' stands there twice"),
    ("[203.0.113.7/32]", "[203.0.113.7/99]", "10: spec.network.allowedCidrs.0: must be a network such as"),
    ("{allowedCidrs: [203.0.113.7/32]}", "{}", "10: spec.network: allowedCidrs is missing: say from where"),
    ("{allowedCidrs: [203.0.113.7/32]}", "{allowedCidrs: [203.0.113.7/32], cidr: 10.0.0.0/24}", "network of /8 to /20"),
    ("spot: true", "min: 1\n      autoprovision: true", "19: spec.pools.1.min: must be 0 with autoprovision"),
    ("name: lab", "name: 2lab", "4: metadata.name: must begin with a letter, not '2lab'; for example 'n2lab'"),
    ("name: lab", "name: Lab", "4: metadata.name: must be a DNS label"),
    ("name: lab", "name: ${evil}", "4: metadata.name: must be a DNS label"),
    ("name: actors", "name: system", "16: spec.pools.1.name: 'system' is the name of pool 1 already"),
    ("name: actors", "name: " + "a" * 41, "16: spec.pools.1.name: must be a DNS label"),
    ("min: 1", "min: 4", "14: spec.pools.0.min: must be max (3) or less, not 4"),
    ("min: 1", "min: -1", "14: spec.pools.0.min: must be 0 or more, not -1"),
    ("max: 40", "max: 0", "18: spec.pools.1.max: must be 1 or more, not 0"),
    ("      max: 40\n", "", "16: spec.pools.1.max: missing; it has no default"),
    ("spot: true", "spot: yes", "19: spec.pools.1.spot: must be true or false, not 'yes'"),
    ("spot: true", "taints: [{key: a, effect: NoRun}]", "19: spec.pools.1.taints.0.effect: must be 'NoSchedule', "),
    ("spot: true", "labels: {kubernetes.io/x: y}", "belongs to Kubernetes or to surreal; take another prefix"),
    ("spot: true", "labels: {surreal.dev/pool: y}", "belongs to Kubernetes or to surreal; take another prefix"),
    ("spot: true", "labels: {a b: c}", "19: spec.pools.1.labels.a b: 'a b' is no label key"),
    ("spot: true", "zones: [us-east1-b]", "19: spec.pools.1.zones.0: must be a zone of us-central1"),
    ("spot: true", "accelerator: {type: nvidia-l4, count: 0}", "19: spec.pools.1.accelerator.count: must be 1 or more"),
    ("spot: true", "disk: 100GB", "19: spec.pools.1.disk: must be an amount of memory"),
    ("      machine: n2-standard-8\n", "", "16: spec.pools.1: machine is missing: the machine type, for example n2-"),
    ("machine: n2-standard-8", "machine: '${x}'", "17: spec.pools.1.machine: must be lower-case letters"),
    ("provider: gke", "provider: gke\n  context: x", "7: spec.context: means nothing on gke; it is for existing"),
    ("provider: gke", "provider: gke\n  store: {bucket: A}", "7: spec.store.bucket: must be 3 to 63 lower-case"),
    ("provider: gke", "provider: gke\n  state: {backend: s3, bucket: abc}", "7: spec.state: region is missing: that"),
    ("provider: gke", "provider: gke\n  state: {backend: gs, bucket: abc}", "7: spec.state.backend: must be 'gcs' or"),
    ("provider: gke", "provider: gke\n  kubernetes: {version: v1.33.2}", "version: must be a minor version such as"),
    ("kind: Cluster", "kind: Experiment", "2: kind: must be 'Cluster', not 'Experiment'"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_said_with_its_line_its_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    message = "\n".join(refusal(tmp_path, spoiled(old, new)))
    assert said in message
    assert message.startswith("cluster.yaml:")


def test_all_mistakes_are_said_together_those_between_keys_too(tmp_path: Path) -> None:
    text = GKE.replace("min: 1", "min: 9").replace("max: 40", "max: many").replace("name: actors", "name: system")
    assert [line.split(": ")[:2] for line in refusal(tmp_path, text)] == [
        ["cluster.yaml:14", "spec.pools.0.min"],
        ["cluster.yaml:16", "spec.pools.1.name"],
        ["cluster.yaml:18", "spec.pools.1.max"],
    ]


@pytest.mark.parametrize(
    ("provider", "spec", "said"),
    [
        ("minikube", {"project": "my-project"}, "spec.project: means nothing on minikube; it is for gke"),
        ("minikube", {"region": "us-east1"}, "spec.region: means nothing on minikube; it is for gke and eks"),
        ("minikube", {"pools": [{"name": "a", "max": 1, "autoprovision": True}]}, "autoprovision: is for gke and eks"),
        ("minikube", {"pools": [{"name": "a", "max": 1, "machine": "n2"}]}, "machine: means nothing on minikube"),
        (
            "minikube",
            {"pools": [{"name": "a", "max": 1}, {"name": "b", "max": 1, "resources": {"cpu": 3, "memory": "1Gi"}}]},
            "spec.pools.1.resources: must be those of the first pool",
        ),
        ("existing", {"pools": [{"name": "a", "max": 1}]}, "spec.pools.0: machine is missing; name it"),
        ("eks", {"project": "my-project"}, "spec.project: means nothing on eks; it is for gke"),
        ("eks", {"zones": ["us-east-1a"]}, "spec.zones: must be two zones or more"),
        ("eks", {"zones": ["us-east-1a", "us-west-2a"]}, "spec.zones.1: must be a zone of us-east-1 such as us-east"),
        (
            "eks",
            {"pools": [{"name": "a", "machine": "m7i.large", "max": 1, "zones": ["us-east-1a"]}]},
            "spec.pools.0.zones: 'us-east-1a' has no subnet: spec.zones says no zones",
        ),
        ("eks", {"kubernetes": {"channel": "rapid"}}, "spec.kubernetes.channel: is for gke; say a version here"),
    ],
)
def test_what_another_provider_knows_is_refused(provider: str, spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cluster(provider, **spec)
    assert said in str(caught.value)


@pytest.mark.parametrize("shape", ["3", "[a]", "{spec: 3}", "{spec: {pools: 4}}", "{spec: {pools: [5], zones: 6}}"])
def test_wrong_shapes_are_refused_and_not_followed(tmp_path: Path, shape: str) -> None:
    assert all(line.startswith("cluster.yaml:1") for line in refusal(tmp_path, shape))


def test_a_pool_made_to_measure_follows_another_row_of_the_table() -> None:
    fixed = {"name": "a", "machine": "n2-standard-8", "max": 1}
    both = cluster(pools=[fixed, {**fixed, "name": "b", "autoprovision": True}])
    assert [platform_of("gke", pool.autoprovision) for pool in both.spec.pools] == ["gke", "gke-autoprovision"]
    assert platform_of("eks", autoprovision=True) == "karpenter"


def test_the_schema_knows_every_key_and_requires_what_has_no_default() -> None:
    schema = cluster_schema()
    assert schema["title"] == "Cluster"
    pool = schema["$defs"]["PoolSpec"]
    assert pool["required"] == ["name", "max"]
    assert {"machine", "min", "spot", "zones", "disk", "accelerator", "labels", "taints"} < set(pool["properties"])
    assert all(definition["additionalProperties"] is False for definition in schema["$defs"].values())


def test_pods_of_gkes_auto_provisioning_name_the_machines_they_want() -> None:
    pools = [{"name": "a", "machine": "g2-standard-12", "max": 1, "autoprovision": True}]
    (pool,), _ = declared_pools(cluster(pools=pools), machine_table())
    assert pool.selector == {
        "surreal.dev/pool": "a",
        "cloud.google.com/machine-family": "g2",
        "cloud.google.com/gke-accelerator": "nvidia-l4",
    }
