"""The local backend: create, stop, resume, delete, and who may do what when."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from surreal.orchestrator.backends.base import backend
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.run import home
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.supervision import os_process as lock
from surreal.orchestrator.supervision import os_process as process_ids
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import InvalidInput, NotFound, SurrealError
from tests.orchestrator.documents import minimal
from tests.orchestrator.runs import begun, create, ended, finish, is_dead, pid, pids, plan, until


def test_a_stopped_run_has_no_process_and_goes_on_where_it_was(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    begun(place, name, "actor")
    running = pids(place, name)
    assert place.stop(name)
    stopped = place.status(name)
    assert stopped.state == "stopped" and all(is_dead(each) for each in running)
    assert not place.stop(name), "there is nothing left to stop"

    place.resume(name)
    begun(place, name, "learner/0", times=2)
    begun(place, name, "actor/0", times=2)
    assert f"learner/0 begins at {stopped.progress.steps}" in [line.text for line in place.logs(name, "learner")]
    wiring = json.loads((home.find(name).wiring / "actor-0.json").read_text())
    assert wiring["incarnation"] >= 2, "the actor has a new incarnation"
    assert place.status(name).state == "running"


def test_what_runs_or_has_succeeded_is_not_resumed(place: LocalBackend) -> None:
    name = create(place)
    with pytest.raises(InvalidInput, match="is running: nothing to resume"):
        place.resume(name)
    pid(place, name, "learner")
    begun(place, name, "actor")
    finish(place, name)
    ended(place, name)
    with pytest.raises(InvalidInput, match="has succeeded: there is nothing to resume"):
        place.resume(name)


def test_deleting_a_running_experiment_leaves_no_process_and_no_folder(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="deaf"))
    pid(place, name, "learner")
    running = pids(place, name)
    record = RunRecord.read(home.find(name))
    assert record.supervisor
    place.delete(name)
    assert all(is_dead(each) for each in [*running, record.supervisor])
    assert place.names() == [] and not Path(record.sockets).exists()
    with pytest.raises(NotFound):
        place.delete(name)


def test_deleting_at_once_after_creating_leaves_nothing(place: LocalBackend) -> None:
    planned = plan()

    for _ in range(3):
        place.create(Experiment.from_data(minimal()), planned)
        place.delete(planned.name)
        assert place.names() == []


def test_deleting_ends_what_a_killed_supervisor_left(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="deaf"))
    pid(place, name, "learner")
    running = pids(place, name)
    supervisor = RunRecord.read(home.find(name)).supervisor
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    place.delete(name)
    until(lambda: all(is_dead(each) for each in running), "the orphans are dead")
    assert place.names() == []


def test_a_hanging_supervisor_does_not_hinder_deleting(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    running = pids(place, name)
    supervisor = RunRecord.read(home.find(name)).supervisor
    assert supervisor
    os.kill(supervisor, signal.SIGSTOP)
    place.delete(name)
    until(lambda: all(is_dead(each) for each in [*running, supervisor]), "all are dead")


def test_two_of_one_name_are_refused_and_the_first_runs_on(place: LocalBackend) -> None:
    name = create(place)
    with pytest.raises(InvalidInput) as caught:
        create(place)
    message = str(caught.value)
    assert "an experiment 'toy' exists already (running)" in message
    assert all(way in message for way in ("--set metadata.name=", "surreal resume toy", "surreal delete toy"))
    assert place.status(name).state == "running"


def test_only_the_owner_can_look_into_the_home(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    folder = home.find(name)
    sockets = Path(RunRecord.read(folder).sockets)
    for private in (home.home(), home.experiments(), folder.path, folder.logs, folder.checkpoints, sockets):
        assert private.stat().st_mode & 0o777 == 0o700, private


def test_a_run_says_what_it_was_started_with(place: LocalBackend) -> None:
    name = create(place)
    made = json.loads(home.find(name).provenance.read_text())
    assert made["versions"].keys() == {"surreal", "torch", "numpy", "mujoco", "gymnasium"}
    assert made["versions"]["surreal"] and made["host"] and made["platform"] and made["argv"] and made["python"]
    assert home.find(name).plan.exists() and home.find(name).experiment.exists()


def test_an_interrupted_creation_is_a_failed_run_that_can_be_deleted(place: LocalBackend) -> None:
    home.new_folder("half").make()
    status = place.status("half")
    assert (status.state, status.reason) == ("failed", "its creation was interrupted; surreal delete half")
    with pytest.raises(InvalidInput, match="half: cannot be resumed. Remove it by surreal delete half"):
        place.resume("half")
    place.delete("half")
    assert place.names() == []


def test_a_supervisor_that_cannot_start_is_reported_and_leaves_nothing(
    place: LocalBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(SurrealError, match="the supervisor of toy did not start.*\n.*no room"):
        create(place)
    assert place.names() == []


def test_a_pid_given_away_again_is_never_killed(place: LocalBackend) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], process_group=0)
    try:
        folder = home.new_folder("old")
        folder.make()
        another = ProcessRecord("actor", 0, "running", 1, pid=stranger.pid, born="long ago")
        RunRecord("running", supervisor=stranger.pid, born="long ago", processes=[another]).write(folder)
        place.delete("old")
        assert stranger.poll() is None
        assert process_ids.is_alive(stranger.pid, process_ids.born(stranger.pid))
    finally:
        stranger.kill()
        stranger.wait()
    assert process_ids.born(stranger.pid) is None


def test_the_lock_is_free_only_when_every_holder_is_gone(place: LocalBackend) -> None:
    folder = home.new_folder("locked")
    folder.make()
    held = lock.acquire(folder)
    assert held is not None and lock.is_held(folder) and lock.acquire(folder) is None
    os.close(held)
    assert not lock.is_held(folder)


def test_an_unknown_backend_gets_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match=r"--on lokal: no such backend \(did you mean 'local'\?\)"):
        backend(Location("lokal"))


def test_a_damaged_record_is_a_failed_run_that_can_be_deleted(place: LocalBackend) -> None:
    home.new_folder("old").make()
    home.find("old").status.write_text('{"state": "running", "colour": "blue", "processes": []}')
    status = place.status("old")
    assert status.state == "failed" and "written by another version of surreal, or damaged" in status.reason
    with pytest.raises(InvalidInput, match="cannot be resumed"):
        place.resume("old")
    place.delete("old")
    assert place.names() == []
