"""The sockets of a run: they outlive a login session, and what removes them costs a checkpoint at most."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.backends.local.launcher import make_again_if_gone
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision.record import RunRecord
from tests.orchestrator.runs import create, pid, plan, process, until


def test_the_end_of_a_login_session_costs_nothing(
    place: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "run-user"
    session.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(session))
    monkeypatch.setenv("TMPDIR", str(session))
    name = create(place)
    actor = pid(place, name, "actor")
    assert not list(session.iterdir())
    shutil.rmtree(session)
    os.kill(actor, signal.SIGKILL)
    until(lambda: process(place, name, "actor").restarts >= 1 and process(place, name, "actor").pid, "it is back")


def test_sockets_that_were_removed_are_made_again_and_processes_meet(place: LocalBackend) -> None:
    name = create(place, plan(learner="eater", actor="feeder"))
    until(lambda: received(place, name, "actor/0", 1), "experience arrives")
    shutil.rmtree(RunRecord.read(home.find(name)).sockets)
    actor = process(place, name, "actor").pid
    assert actor
    os.kill(actor, signal.SIGKILL)
    until(lambda: received(place, name, "actor/0", 2), "experience of the actor that came later arrives")
    assert process(place, name, "learner").restarts >= 1


def received(place: LocalBackend, name: str, sender: str, incarnation: int) -> bool:
    """Has this start of an actor sent something that was acknowledged?"""
    ends = [end for channel in place.status(name).channels for end in channel.ends if channel.name == "experience"]
    return any(end.process == sender and end.incarnation >= incarnation and end.messages > 10 for end in ends)


def test_a_folder_in_its_place_that_is_not_ours_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    assert make_again_if_gone(folder) and folder.stat().st_mode & 0o777 == 0o700
    assert not make_again_if_gone(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(PermissionError):
        make_again_if_gone(link)
