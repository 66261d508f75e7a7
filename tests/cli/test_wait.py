"""`surreal wait`: the exit code is the outcome."""

from surreal.orchestrator.backends.local.backend import LocalBackend
from tests.cli.terminal import surreal
from tests.orchestrator.runs import begun, create, ended, finish, pid, plan


def test_a_run_that_goes_on_is_7_and_one_that_succeeded_is_0(place: LocalBackend) -> None:
    name = create(place)
    assert surreal("wait", name, "--timeout", "0").returncode == 7
    pid(place, name, "learner")
    begun(place, name, "actor")
    finish(place, name)
    done = surreal("wait", name)
    assert (done.returncode, done.stderr) == (0, "toy succeeded\n")


def test_a_run_that_failed_is_1_with_the_reason(place: LocalBackend) -> None:
    name = create(place, plan(learner="hopeless"))
    done = surreal("wait", name)
    assert done.returncode == 1
    assert "toy failed: learner/0 cannot go on" in done.stderr and "no such environment" in done.stderr


def test_a_run_that_was_stopped_is_6(place: LocalBackend) -> None:
    name = create(place)
    place.stop(name)
    ended(place, name)
    assert surreal("wait", name).returncode == 6
