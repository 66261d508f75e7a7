"""`surreal top`."""

import json

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal, terminal
from tests.orchestrator.runs import begun, create, finish, pid


def test_top_shows_what_each_role_uses_until_the_run_is_over(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    begun(place, name, "actor")
    begun(place, name, "evaluator")
    document = json.loads(surreal("top", name, "-o", "json").stdout)
    assert document.keys() == {"name", "state", "note", "roles", "channels"}
    assert [(role["name"], role["running"]) for role in document["roles"]] == [
        ("actor", 2),
        ("learner", 1),
        ("evaluator", 1),
    ]
    table = surreal("top", name).stdout
    assert table.splitlines()[0].split() == ["toy", "running"]
    header = ["ROLE", "RUNNING", "CPU", "BUSIEST", "MEMORY", "LARGEST"]
    assert header in [line.split() for line in table.splitlines()] and "(actor/" in table
    with terminal("top", "-w", name) as screen:
        screen.wait_for("2/2")
        finish(place, name)
        screen.wait_for("succeeded")
        assert screen.end() == ExitCode.DONE


def test_top_of_nothing_is_not_found(place: LocalBackend) -> None:
    done = surreal("top", "toy")
    assert done.returncode == ExitCode.NOT_FOUND and done.stderr.startswith("no experiment 'toy'")


def test_a_program_asks_as_often_as_it_likes(place: LocalBackend) -> None:
    done = surreal("top", "toy", "-w", "-o", "json")
    assert done.returncode == ExitCode.INVALID and "--watch is for people" in done.stderr
