"""Values that a cloud would refuse, or regret, are refused at their line before anything is made."""

import json
from datetime import date
from typing import Any

import pytest

from surreal.protocol.errors import InvalidInput
from surreal.provisioner.cluster.lifecycle import rendered
from surreal.provisioner.machine_types import machine_table
from surreal.provisioner.providers.base import EKS, GKE, unsupported
from tests.provisioner.clusters import cluster

NETWORK = {"allowedCidrs": ["203.0.113.7/32"]}


@pytest.mark.parametrize(
    ("provider", "region", "said"),
    [
        ("gke", "europe-west4-b", "spec.region: must be a region, and 'europe-west4-b' is a zone of europe-west4"),
        ("gke", "europe-vest", "spec.region: must be for example us-central1, not 'europe-vest'"),
        ("eks", "eu-west-1c", "spec.region: must be a region, and 'eu-west-1c' is a zone of eu-west-1"),
        ("eks", "eu-west", "spec.region: must be for example us-east-1, not 'eu-west'"),
    ],
)
def test_a_zone_is_no_region(provider: str, region: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        cluster(provider, region=region)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "region"),
    [
        *(("gke", region) for region in ("us-central1", "northamerica-northeast2", "europe-west12", "me-central2")),
        *(("eks", region) for region in ("us-east-1", "us-gov-west-1", "ap-southeast-5", "eusc-de-east-1")),
    ],
)
def test_regions_of_every_form_are_taken(provider: str, region: str) -> None:
    assert cluster(provider, region=region).spec.region == region


def test_an_ipv6_network_is_refused_at_its_line() -> None:
    with pytest.raises(
        InvalidInput, match=r"spec.network.allowedCidrs.1: must be an IPv4 network, not '2001:db8::/32'"
    ):
        cluster(network={"allowedCidrs": ["203.0.113.7/32", "2001:db8::/32"]})


def test_a_version_is_refused_once_its_support_has_ended_and_not_before() -> None:
    made = cluster("eks", kubernetes={"version": "1.34"})
    assert rendered(made, machine_table(), today=EKS["1.34"])
    with pytest.raises(InvalidInput) as caught:
        rendered(made, machine_table(), today=date(2026, 12, 3))
    assert str(caught.value).endswith(
        "spec.kubernetes.version: '1.34' is out of support since 2026-12-02: take 1.35, or leave it out for the "
        "provider's default"
    )


@pytest.mark.parametrize("ends", [GKE, EKS])
def test_versions_that_surreal_cannot_use_are_refused_and_newer_ones_taken(ends: dict[str, date]) -> None:
    assert "must be 1.33 or later" in str(unsupported("1.21", ends, date(2026, 1, 1)))
    assert unsupported("1.40", ends, date(2030, 1, 1)) is None
    assert "leave it out" in str(unsupported("1.35", ends, date(2030, 1, 1)))


def test_a_cluster_of_an_old_version_can_still_be_read_so_that_it_can_be_taken_down() -> None:
    assert cluster("gke", kubernetes={"version": "1.30"}).spec.kubernetes.version == "1.30"


def resources(provider: str, **spec: Any) -> dict[str, Any]:
    files, _ = rendered(cluster(provider, network=NETWORK, **spec), machine_table())
    found = json.loads(files["main.tf.json"])
    objects = json.loads(files["objects.json"])["items"] if "objects.json" in files else []
    return {**found["resource"], "terraform": found["terraform"], "objects": objects}


def test_gke_nodes_may_pull_images_from_artifact_registry() -> None:
    members = resources("gke")["google_project_iam_member"].values()
    assert "roles/artifactregistry.reader" in {each["role"] for each in members}


def test_the_apis_that_a_fresh_project_lacks_are_enabled_first_and_stay() -> None:
    found = resources("gke")
    services = found["google_project_service"]
    wanted = {"compute", "container", "iam", "cloudresourcemanager", "artifactregistry"}
    assert wanted <= set(services)
    assert not any(each["disable_on_destroy"] for each in services.values())
    assert "google_project_service.compute" in found["google_compute_network"]["this"]["depends_on"]
    assert "google_project_service.container" in found["google_container_cluster"]["this"]["depends_on"]


@pytest.mark.parametrize("private", [True, False])
def test_s3_is_reached_without_the_nat_gateway(private: bool) -> None:
    made = cluster("eks", network={**NETWORK, "privateNodes": private})
    files, _ = rendered(made, machine_table())
    assert "com.amazonaws.${var.region}.s3" in files["main.tf.json"]


def test_machines_that_stay_have_a_group_in_each_zone_and_the_bounds_hold_for_all_together() -> None:
    pools = [
        {"name": "system", "machine": "m7i.xlarge", "min": 1, "max": 3},
        {"name": "one", "machine": "m7i.xlarge", "max": 1},
        {"name": "actors", "machine": "c7i.2xlarge", "max": 40, "spot": True},
    ]
    found = resources("eks", zones=["us-east-1a", "us-east-1b"], pools=pools)
    groups = found["aws_eks_node_group"]
    sizes = {
        key: (each["scaling_config"]["min_size"], each["scaling_config"]["max_size"]) for key, each in groups.items()
    }
    assert sizes == {"system-zone-a": (1, 2), "system-zone-b": (0, 1), "one-zone-a": (0, 1), "actors": (0, 40)}
    assert [len(each["subnet_ids"]) for each in groups.values()] == [1, 1, 1, 2]
    tags = [each["tag"] for each in found["aws_autoscaling_group_tag"].values()]
    zones = {tag["value"] for tag in tags if tag["key"].endswith("label/topology.ebs.csi.aws.com/zone")}
    assert zones == {"us-east-1a", "us-east-1b"}


def test_auto_mode_has_a_class_of_volumes_which_is_the_default_where_there_are_no_other_machines() -> None:
    auto = {"name": "auto", "machine": "m7i.xlarge", "max": 4, "autoprovision": True}
    fixed = {"name": "system", "machine": "m7i.xlarge", "min": 1, "max": 3}
    for pools, default in (([auto], "true"), ([auto, fixed], "false")):
        (made,) = (each for each in resources("eks", pools=pools)["objects"] if each["kind"] == "StorageClass")
        assert made["provisioner"] == "ebs.csi.eks.amazonaws.com"
        assert made["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == default


@pytest.mark.parametrize("provider", ["gke", "eks"])
def test_the_account_that_may_use_the_store_is_made_and_bound_without_a_step_by_hand(provider: str) -> None:
    store = {"bucket": "runs-of-mine", "namespace": "lab", "serviceAccount": "keeper"}
    found = resources(provider, store=store)
    assert [(each["kind"], each["metadata"]["name"]) for each in found["objects"]] == [
        ("Namespace", "lab"),
        ("ServiceAccount", "keeper"),
    ]
    if provider == "eks":
        bound = found["aws_eks_pod_identity_association"]["store"]
        assert (bound["namespace"], bound["service_account"]) == ("lab", "keeper")
        assert "pods.eks.amazonaws.com" in found["aws_iam_role"]["store"]["assume_role_policy"]
    else:
        member = found["google_storage_bucket_iam_member"]["store"]["member"]
        assert member.endswith("/subject/ns/lab/sa/keeper")


def test_a_state_in_s3_needs_the_terraform_that_can_lock_it() -> None:
    state = {"backend": "s3", "bucket": "abc", "region": "us-east-1"}
    assert resources("eks", state=state)["terraform"]["required_version"] == ">= 1.10"
    assert resources("eks")["terraform"]["required_version"] == ">= 1.5"
