"""Watches of an operator: what it is told of, and what it is not told twice."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.operator.loop import watching
from surreal.orchestrator.operator.loop.watching import Watcher
from surreal.protocol.errors import SurrealError
from surreal.provisioner.kube.kinds import Object
from tests.orchestrator.operator.cluster import NAME, Cluster, cluster

Told = list[tuple[str, str]]


class OneList:
    """A client whose every watch is the list alone; before each it does the next of these acts."""

    def __init__(self, place: Cluster, acts: list[Callable[[], object]]) -> None:
        self._place, self._acts = place, acts
        self.watcher: Watcher

    def changes(self, kind: str, labels: str, *_seconds: float) -> Iterator[tuple[str, Object]]:
        if not self._acts:
            self.watcher.end()
            return
        self._acts.pop(0)()
        yield from self._place.person.changes(kind, labels, 0.0)


class BrokenList(OneList):
    """A client whose second list breaks off after its first object."""

    lists = 0

    def changes(self, kind: str, labels: str, *seconds: float) -> Iterator[tuple[str, Object]]:
        self.lists += 1
        for each in super().changes(kind, labels, *seconds):
            yield each
            if self.lists == 2:
                raise SurrealError("no answer")


def told_of(place: Cluster, kind: str, *acts: Callable[[], object], client: type[OneList] = OneList) -> Told:
    """What a watcher of a kind tells while these acts happen, each before a list."""
    told: Told = []
    api: Any = client(place, list(acts))
    api.watcher = Watcher(api, kind, lambda kind, name, _urgent: told.append((kind, name)), place.server.said.append)
    api.watcher.run()
    return told


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AGAIN_S", 0.0)


@pytest.mark.parametrize("kind", ["Experiment", "Job"])
def test_a_list_tells_only_what_has_changed_since_the_last(tmp_path: Path, kind: str) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        place.reconcile()
        before = told_of(place, kind, lambda: None)
        assert set(before) == {("Experiment", NAME)}
        assert told_of(place, kind, lambda: None, lambda: None, lambda: None) == before
        again = told_of(place, kind, lambda: None, lambda: place.patch(suspend=True), lambda: place.reconcile())
        assert len(again) > len(before)


def test_what_went_away_unseen_is_told(tmp_path: Path) -> None:
    with cluster(tmp_path) as place:
        place.apply()
        told = told_of(place, "Experiment", lambda: None, lambda: place.person.delete("Experiment", NAME), lambda: None)
        assert told == [("Experiment", NAME)] * 2


def test_what_goes_away_after_a_list_that_broke_off_is_told(tmp_path: Path) -> None:
    def nothing() -> None:
        """Only list."""

    with cluster(tmp_path) as place:
        place.apply()
        remove = partial(place.person.delete, "Experiment", NAME)
        told = told_of(place, "Experiment", nothing, nothing, remove, client=BrokenList)
        assert told == [("Experiment", NAME)] * 2


def test_a_trouble_that_lasts_is_told_once(tmp_path: Path) -> None:
    def fail() -> None:
        raise SurrealError("no answer")

    def fault() -> None:
        raise KeyError("metadata")

    with cluster(tmp_path) as place:
        told_of(place, "Pod", fail, fail, fail, fault)
        assert place.server.said == [
            "watch of Pod: no answer",
            "watch of Pod: fault of the operator: KeyError('metadata')",
        ]
