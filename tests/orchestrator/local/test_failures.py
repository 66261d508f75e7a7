"""Failures of processes: the cause is said at once, and what cannot succeed ends soon."""

import json
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import write_json
from surreal.protocol.errors import ExitCode, InvalidInput, SurrealError
from tests.cli.terminal import surreal
from tests.orchestrator.runs import create, ended, events, pid, plan, process, until


def test_the_first_exception_is_said_while_the_run_goes_on(place: LocalBackend) -> None:
    name = create(place, plan(evaluator="broken"))
    until(lambda: "evaluator/0 failed (exit 1): ValueError: no licence" in place.status(name).reason, "it is said")
    status = place.status(name)
    assert status.state == "running" and "ValueError: no licence" in status.roles["evaluator"][0].reason
    listed = surreal("list")
    assert "toy: evaluator/0 failed (exit 1): ValueError: no licence" in listed.stdout


def test_three_equal_failures_before_the_first_step_are_enough(place: LocalBackend) -> None:
    name = create(place, plan(learner="eater", actor="broken"))
    status = ended(place, name)
    assert status.state == "failed" and "ValueError: no licence" in status.reason
    assert max(each.restarts for each in status.roles["actor"]) == 2


def foreign(name: str) -> Path:
    """Make the plan of a run one of another version; its file."""
    path = home.find(name).plan
    write_json(path, {**json.loads(path.read_text()), "colour": "blue"})
    return path


def test_a_plan_of_another_version_is_said_and_nothing_is_started(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    place.stop(name)
    path = foreign(name)
    with pytest.raises(InvalidInput, match="colour: Extra inputs are not permitted") as caught:
        place.resume(name)
    assert str(path) in str(caught.value) and "surreal delete toy" in str(caught.value)
    assert place.status(name).state == "stopped"
    for command in (("resume", "-d", name), ("top", name), ("exec", name, "learner", "--", "true")):
        done = surreal(*command)
        assert done.returncode == ExitCode.INVALID and "Traceback" not in done.stderr, command
        assert str(path) in done.stderr, command


def test_a_supervisor_that_dies_before_it_works_is_reported(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    place.stop(name)
    folder = home.find(name)
    write_json(folder.provenance, {**json.loads(folder.provenance.read_text()), "code": 7})
    with pytest.raises(SurrealError, match="run.json: is no record of a run"):
        place.resume(name)
    assert place.status(name).state == "stopped"


def test_a_damaged_run_breaks_nothing_but_itself(place: LocalBackend) -> None:
    name = create(place)
    home.new_folder("half").make()
    home.find("half").provenance.write_text("{")
    listed = surreal("list")
    assert listed.returncode == ExitCode.DONE and "toy" in listed.stdout and "Traceback" not in listed.stderr
    assert str(home.find("half").provenance) in "".join(surreal("status", "half").stdout.split())
    assert surreal("delete", "-y", "half").returncode == ExitCode.DONE
    assert place.names() == [name]


def test_a_home_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "file" / "home"))
    for command in (("list",), ("create", "examples/cartpole-ppo.yaml")):
        done = surreal(*command)
        assert done.returncode == ExitCode.INVALID and "Traceback" not in done.stderr, done.stderr


def test_a_role_that_keeps_no_checkpoint_is_not_said_to_have_one(place: LocalBackend) -> None:
    planned = plan(evaluator="broken")
    roles = [
        role if role.name != "evaluator" else role.model_copy(update={"expendable": False}) for role in planned.roles
    ]
    name = create(place, planned.model_copy(update={"roles": tuple(roles)}))
    until(lambda: process(place, name, "evaluator").restarts, "it is started again")
    assert "it begins anew: it keeps no checkpoint" in events(place, name)
