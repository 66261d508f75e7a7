"""`surreal logs`."""

from surreal.orchestrator.backends.local import LocalBackend
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal, terminal
from tests.orchestrator.runs import begun, create, finish, pid


def test_every_line_says_which_process_it_comes_from(place: LocalBackend) -> None:
    name = create(place)
    begun(place, name, "actor")
    everything = surreal("logs", name).stdout
    assert "actor/1    | actor/1 begins\n" in everything and "supervisor | " in everything
    one = surreal("logs", name, "actor/1").stdout
    assert one and all(line.startswith("actor/1    | ") for line in one.splitlines())
    assert {line.split("|")[0] for line in surreal("logs", name, "actor").stdout.splitlines()} == {
        "actor/0    ",
        "actor/1    ",
    }
    assert len(surreal("logs", name, "--tail", "1").stdout.splitlines()) == 1


def test_a_misspelt_role_is_not_found_with_the_nearest(place: LocalBackend) -> None:
    name = create(place)
    done = surreal("logs", name, "lerner")
    assert done.returncode == ExitCode.NOT_FOUND and "did you mean 'learner'?" in done.stderr


def test_following_on_a_terminal_is_coloured_and_ends_with_the_run(place: LocalBackend) -> None:
    name = create(place)
    with terminal("logs", "-f", name) as screen:
        screen.wait_for("actor/0 begins")
        pid(place, name, "learner")
        begun(place, name, "actor")
        finish(place, name)
        screen.wait_for("the run is over: succeeded")
        assert screen.end() == ExitCode.DONE
    assert "\x1b[" in screen.shown
