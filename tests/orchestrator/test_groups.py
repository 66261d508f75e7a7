"""Several runs are chosen by names, by the name of their group, by labels and by states."""

import json
from pathlib import Path

import pytest

from surreal.orchestrator.groups import Selection, chosen, members, runs_of
from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location, remember
from surreal.orchestrator.run.status import State
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError


def run(name: str, state: State, **labels: str) -> None:
    folder = home.new_folder(name)
    folder.make()
    folder.plan.write_text(json.dumps({"labels": labels}))
    RunRecord(state=state, processes=[ProcessRecord("learner", 0)]).write(folder)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    run("lr-0-s1", "succeeded", sweep="lr", team="rl")
    run("lr-1-s1", "failed", sweep="lr", team="rl")
    run("other", "stopped", team="vision")


def names(given: tuple[str, ...] = (), **selection: object) -> list[str]:
    return [each.name for each in chosen(given, None, Selection(**selection))]  # type: ignore[arg-type]


def test_a_group_stands_for_its_runs() -> None:
    assert members("lr") == ["lr-0-s1", "lr-1-s1"]
    assert [each.name for each in runs_of(["lr", "other", "lr-0-s1"])] == ["lr-0-s1", "lr-1-s1", "other"]


def test_labels_states_and_names_choose_together() -> None:
    assert names(everything=True) == ["lr-0-s1", "lr-1-s1", "other"]
    assert names(selector="team=rl") == ["lr-0-s1", "lr-1-s1"]
    assert names(states=("failed", "stopped")) == ["lr-1-s1", "other"]
    assert names(("lr", "other"), states=("stopped",)) == ["other"]
    with pytest.raises(NotFound, match="no experiment fits. See them all: surreal list -A"):
        names(selector="team=none")
    with pytest.raises(InvalidInput, match=r"no experiment is named\. .* --all\. There are: lr-0-s1, lr-1-s1, other\."):
        names()
    with pytest.raises(
        InvalidInput, match=r"NAME: no experiment is named\. Name some, or give -l, --state or --all\.$"
    ):
        chosen((), Location("kube"), Selection())


def test_a_cluster_that_does_not_answer_hides_no_run_of_this_machine(tmp_path: Path) -> None:
    remember("far", Location("kube", context="gone", kubeconfig=str(tmp_path / "none.yaml")))
    told: list[str] = []
    found = chosen((), None, Selection(everything=True, everywhere=True), told.append)
    assert [each.name for each in found] == ["lr-0-s1", "lr-1-s1", "other"]
    assert len(told) == 1 and "--context gone" in told[0]
    with pytest.raises(SurrealError):
        chosen((), Location("kube", context="gone", kubeconfig=str(tmp_path / "none.yaml")), Selection(everything=True))
