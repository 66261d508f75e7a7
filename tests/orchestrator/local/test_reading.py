"""Looks at runs write nothing: not into their folders, and not beside them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.groups import members
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision.record import RunRecord, processes_of
from surreal.protocol.errors import NotFound
from tests.orchestrator.runs import plan


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Path -> mode, time of the last change and content of all that is below a folder, and of itself."""
    return {
        str(path): (path.stat().st_mode, path.stat().st_ctime_ns, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


def test_looking_at_runs_changes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    folder = home.new_folder("toy")
    folder.make()
    toy = plan()
    folder.plan.write_text(toy.to_json())
    home.write_json(folder.provenance, {"code": str(tmp_path)})
    RunRecord("running", processes=processes_of(toy)).write(folder)
    folder.process_log("learner", 0, 1).write_text("2026-11-28T07:05:01.123Z hello\n")
    folder.metrics_jsonl.write_text('{"role": "learner/0", "steps": 7, "time": 1.0, "loss": 0.5}\n')
    home.write_json(folder.progress, {"steps": 7})
    before = everything(tmp_path)

    run = Run.find("toy")
    status = run.status()
    assert status.state == "failed" and status.progress.steps == 7, "its supervisor is gone"
    assert [line.text for line in run.logs("learner")] == ["hello"]
    assert run.metrics()["loss"] == [0.5]
    assert run.usage()
    assert [each.name for each in Client().list()] == ["toy"]
    assert [each.name for each in Client().backend.statuses()] == ["toy"]
    assert run.loss_at_stop() == "" and members("no-group") == []
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "ask",
    [
        Run.status,
        Run.usage,
        Run.metrics,
        Run.policy,
        Run.wait,
        Run.loss_at_stop,
        Run.stop,
        Run.resume,
        Run.delete,
        lambda run: list(run.logs()),
        lambda run: run.metrics_folder().__enter__(),
        lambda run: run.resume(changes=["spec.seed=1"]),
        lambda run: run.scale({"actor": 2}),
        lambda run: run.execute("actor/0", ["true"]),
        lambda run: run.forward("actor/0", 0, 80, print),
    ],
)
def test_a_run_that_is_not_there_is_found_lazily_and_named_by_all_that_is_asked_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Run], object]
) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    run = Run.find("toi")
    with pytest.raises(NotFound, match=r"^no experiment 'toi'\. There are none yet: surreal create"):
        ask(run)
    assert not (tmp_path / "home").exists()
