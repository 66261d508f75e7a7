"""The number of requests of a reconciliation: an operator of hundreds of experiments shares a server with others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.provisioner.kube.objects import name_of
from tests.orchestrator.kube.apiserver import NAMESPACE
from tests.orchestrator.operator.cluster import NAME, RUN_OBJECTS, Cluster, cluster

KNOWN = 3
"""Requests whose answers serve for a while: nodes, the storage class, rights."""
SEEN = 5
"""The Experiment, and one for each kind of object that a run has."""
CHECKED = 4
"""Quotas, and a pod of each role tried."""
TOLD = 3
"""The seal, an event, the status."""


def requests_of(place: Cluster, act: Callable[[], object]) -> list[tuple[str, str]]:
    before = len(place.server.requests)
    act()
    return place.server.requests[before:]


def test_an_experiment_begins_with_two_requests_for_each_object_and_few_others(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        operator = place.reconciler()
        # A Secret is made unseen.
        least = SEEN + CHECKED + 2 * RUN_OBJECTS - 1 + TOLD
        for name, beside in (("first", KNOWN), ("second", KNOWN - 2)):
            place.apply(name)
            asked = requests_of(place, lambda name=name: operator.reconcile(name))  # type: ignore[misc]
            place.check_whole(name)
            assert len(asked) <= least + beside, asked


def test_a_look_at_a_run_asks_once_for_each_kind(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        operator = place.reconciler()
        operator.reconcile(NAME)
        operator.reconcile(NAME)
        asked = requests_of(place, lambda: operator.reconcile(NAME))
        assert len(asked) <= SEEN, asked


def test_beginning_one_of_many_reads_none_of_the_others(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        asked = requests_of(place, lambda: place.reconcile())
        lists = {f"/api/v1/namespaces/{NAMESPACE}/{plural}" for plural in ("configmaps", "persistentvolumeclaims")}
        assert not [each for each in asked if each[0] == "GET" and each[1] in lists]


def test_a_watch_that_hears_nothing_begins_anew_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(tmp_path) as place:
        real, asked = place.store.events, []

        def deaf_at_first(kind: str, namespace: str | None, version: int, seconds: float) -> Iterator[Any]:
            asked.append(seconds)
            if len(asked) > 1:
                yield from real(kind, namespace, version, seconds)
            else:
                place.apply("second")

        monkeypatch.setattr(place.store, "events", deaf_at_first)
        place.apply("first")
        heard = ((what, name_of(each)) for what, each in place.person.changes("Experiment", "", 600.0, 5.0) if each)
        assert [next(heard), next(heard)] == [("THERE", "first"), ("ADDED", "second")]
        # the server ends each by itself
        assert asked == [5, 5]


def test_a_watch_whose_version_is_forgotten_ends(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        changes = place.person.changes("Experiment", "", 600.0, 5.0)
        assert [next(changes)[0], next(changes)[0]] == ["THERE", "LISTED"]
        place.store.forget()
        assert list(changes) == []
