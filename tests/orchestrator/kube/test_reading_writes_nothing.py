"""Verbs that read send no request that writes; `reconcile` does what they found undone."""

from pathlib import Path

import pytest

from surreal.orchestrator.backends.kube.backend import KubeBackend
from surreal.orchestrator.backends.kube.lifecycle import create
from surreal.orchestrator.run.location import Location
from tests.orchestrator.kube.apiserver import NAMESPACE, api_server
from tests.orchestrator.kube.drawn import NAME, drawer

WRITES = {"POST", "PATCH", "PUT", "DELETE"}


def test_status_writes_nothing_and_reconcile_asks_to_tidy_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(tmp_path) as server:
        create.create(server.api(), drawer(), server.said.append)
        place = KubeBackend(Location("kube", NAMESPACE, kubeconfig=str(server.kubeconfig)))
        before = len(server.requests)
        place.status(NAME)
        assert {verb for verb, *_ in server.requests[before:]} & WRITES == set()
        tidied: list[str] = []
        monkeypatch.setattr(
            "surreal.orchestrator.backends.kube.lifecycle.delete.end_leftovers",
            lambda _, seen: tidied.append(seen.name),
        )
        place.status(NAME)
        assert tidied == []
        place.reconcile(NAME)
        assert tidied == [NAME]
        place.close()
