"""The supervisor's folder on the head, without Ray."""

import threading
from pathlib import Path

import pytest

from surreal.orchestrator.backends.ray.actors.files import Files
from surreal.orchestrator.backends.ray.actors.supervisor import Supervisor
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.supervision.observe import status_of
from surreal.orchestrator.supervision.record import RunRecord, processes_of
from surreal.protocol.errors import InvalidInput, NotFound
from tests.orchestrator.runs import plan


def supervisor(folder: Path) -> Supervisor:
    """One that Ray has not made."""
    made = Supervisor.__new__(Supervisor)
    made.folder, made._run, made._thread, made._writers = Folder(folder), None, None, {}
    made._files, made._lock = Files(str(folder)), threading.Lock()
    return made


def documents() -> dict[str, str]:
    return {"experiment": "x", "plan": plan().to_json()}


def test_a_home_that_cannot_be_written_is_named_and_nothing_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="Not a directory, on the cluster's head. Nothing was started"):
        supervisor(tmp_path / "file" / "ray" / "toy").create(documents(), {"code": "."}, None)


def test_a_folder_that_an_earlier_ray_left_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    with pytest.raises(InvalidInput, match="Go on with it by surreal resume toy, or remove it by surreal delete toy"):
        supervisor(tmp_path / "toy").create(documents(), {"code": "."}, None)


def test_a_run_that_is_nowhere_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no experiment 'toy' in this cluster"):
        supervisor(tmp_path / "toy").resume(False)


def test_a_volume_that_is_mounted_empty_takes_a_run_and_a_second_one_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == tmp_path / "toy")
    (tmp_path / "toy" / "lost+found").mkdir(parents=True)
    made = supervisor(tmp_path / "toy")
    monkeypatch.setattr(made, "_begin", lambda: None, raising=False)
    made.create(documents(), {"code": "."}, None)
    assert made.plan() == documents()["plan"] and RunRecord.read(made.folder).processes
    with pytest.raises(InvalidInput, match="Go on with it by surreal resume toy"):
        made.create(documents(), {"code": "."}, None)


def test_the_output_of_each_start_is_a_log_and_survives_many_of_them(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "toy")
    folder.make()
    made = supervisor(folder.path)
    for incarnation in range(1, 101):
        made.output("actor/3", incarnation, b"line\n")
    made.output("actor/3", 1, b"late\n")
    logs = sorted(path.name for path in folder.logs.iterdir())
    assert len(logs) == 100 and "actor-3.100.log" in logs
    assert folder.process_log("actor", 3, 1).read_text().count("\n") == 2


def test_a_status_survives_the_way_to_the_client(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "toy")
    folder.make()
    RunRecord("running", node="-", ends_run="learner", processes=processes_of(plan())).write(folder)
    status = status_of(folder, "ray", lambda: True)
    assert Status.from_data(status.to_data()) == status and status.backend == "ray" and status.state == "running"
