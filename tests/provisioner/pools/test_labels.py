"""What pools carry and what pods select and tolerate come from one table and fit together."""

import pytest

from surreal.provisioner.kube.resources import GPU
from surreal.provisioner.pools.labels import (
    PLATFORMS,
    POOL,
    Taint,
    Toleration,
    node_labels,
    node_taints,
    selector,
    system_keys,
    tolerations,
    written_labels,
    written_taints,
)

EXTRA = (Taint("team", "vision", "NoExecute"),)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("gpu", [False, True])
def test_pods_find_and_endure_the_pool_they_are_meant_for(platform: str, spot: bool, gpu: bool) -> None:
    labels = node_labels(platform, "actors", spot, {"a": "b"})
    taints = node_taints(platform, "actors", spot, gpu, EXTRA)
    assert selector(platform, "actors", spot).items() <= labels.items()
    assert not selector(platform, "other", spot).items() <= labels.items()
    assert all(any(each.accepts(taint) for each in tolerations(taints, GPU if gpu else "")) for taint in taints)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_written_is_what_the_platform_does_not_put_on_by_itself(platform: str) -> None:
    row = PLATFORMS[platform]
    labels, taints = node_labels(platform, "p", spot=True), node_taints(platform, "p", spot=True, gpu=True)
    assert {k: v for k, v in labels.items() if k not in row.own_labels} == written_labels(platform, "p", spot=True)
    assert [t for t in taints if t.key not in row.own_taints] == list(written_taints(platform, "p", True, True))
    assert labels[POOL] == "p"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_spot_machines_keep_all_others_away_and_gpus_too(platform: str) -> None:
    keys = {taint.key for taint in node_taints(platform, "p", spot=True, gpu=True)}
    assert {PLATFORMS[platform].spot_taint.key, GPU} <= keys <= system_keys(platform)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_gpu_process_endures_every_gpu_taint_whatever_its_value(platform: str) -> None:
    (first, *_) = tolerations(node_taints(platform, "p", gpu=True), GPU)
    assert first == Toleration(GPU)
    assert first.accepts(Taint(GPU, "true", "NoExecute"))


def test_pools_made_to_measure_are_found_by_a_taint_of_their_own() -> None:
    assert Taint(POOL, "actors") in node_taints("gke-autoprovision", "actors")
    assert Taint(POOL, "actors") not in node_taints("gke", "actors")


@pytest.mark.parametrize(
    ("toleration", "accepted"),
    [
        (Toleration("a"), True),
        (Toleration("a", "b"), True),
        (Toleration("a", "b", "NoSchedule"), True),
        (Toleration("a", "c"), False),
        (Toleration("a", "b", "NoExecute"), False),
        (Toleration("b"), False),
    ],
)
def test_a_toleration_accepts_what_kubernetes_says_it_does(toleration: Toleration, accepted: bool) -> None:
    assert toleration.accepts(Taint("a", "b")) is accepted
