"""`surreal stop`, `resume` and `delete`."""

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal, terminal
from tests.orchestrator.runs import begun, create, is_dead, pid, pids


def test_a_run_is_stopped_and_resumed(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    stopped = surreal("stop", name)
    assert (stopped.returncode, stopped.stderr) == (0, "toy stopped. Continue it: surreal resume toy\n")
    again = surreal("stop", name)
    assert (again.returncode, again.stderr) == (0, "toy does not run: it is stopped\n")
    resumed = surreal("resume", "-d", name)
    assert resumed.returncode == ExitCode.DONE and "toy goes on" in resumed.stderr
    begun(place, name, "learner/0", times=2)
    running = surreal("resume", "-d", name)
    assert running.returncode == ExitCode.INVALID and "nothing to resume" in running.stderr


def test_nobody_to_ask_means_that_what_runs_is_not_deleted(place: LocalBackend) -> None:
    name = create(place)
    refused = surreal("delete", name)
    assert refused.returncode == ExitCode.INVALID and "--yes" in refused.stderr
    pid(place, name, "learner")
    running = pids(place, name)
    done = surreal("delete", "-y", name, name)
    assert (done.returncode, done.stderr) == (0, "deleted toy\n")
    assert all(is_dead(each) for each in running) and place.names() == []


def test_on_a_terminal_it_asks_before_it_deletes_what_runs(place: LocalBackend) -> None:
    name = create(place)
    with terminal("delete", name) as screen:
        screen.wait_for("[y/N]")
        screen.press(b"n\n")
        assert screen.end() == ExitCode.FAILED
    assert "nothing was deleted" in screen.shown and place.names() == [name]
    with terminal("delete", name) as screen:
        screen.wait_for("[y/N]")
        screen.press(b"y\n")
        assert screen.end() == ExitCode.DONE
    assert place.names() == []


def test_what_does_not_run_is_deleted_without_asking_and_all_or_nothing(place: LocalBackend) -> None:
    name = create(place)
    place.stop(name)
    assert surreal("delete", name, "other").returncode == ExitCode.NOT_FOUND
    assert place.names() == [name]
    assert surreal("delete", name).returncode == ExitCode.DONE
    assert place.names() == []
