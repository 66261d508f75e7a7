"""`surreal create` as a person uses it, with the real algorithm."""

import json
from pathlib import Path

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.protocol.errors import ExitCode
from surreal.provisioner.pools.local import local_pool
from tests.cli.terminal import experiment_file, surreal, terminal
from tests.orchestrator.runs import pids, until


def test_create_watches_to_the_end_and_says_what_came_out(place: LocalBackend, tmp_path: Path) -> None:
    done = surreal("create", experiment_file(tmp_path), "--set", "spec.algorithm.config.total_steps=256", "-o", "json")
    assert done.returncode == ExitCode.DONE, done.stderr
    document = json.loads(done.stdout)
    assert (document["name"], document["state"], document["total_steps"]) == ("pole", "succeeded", 256)
    assert document["steps"] >= 256
    assert "pole succeeded: " in done.stderr and "surreal tensorboard pole" in done.stderr
    assert "\x1b" not in done.stderr, "no animation off a terminal"


def test_ctrl_c_detaches_and_the_run_goes_on(place: LocalBackend, tmp_path: Path) -> None:
    with terminal("create", experiment_file(tmp_path)) as screen:
        screen.wait_for("learner 1/1")
        screen.press(b"\x03")
        screen.wait_for("surreal status -w pole")
        assert screen.end() == ExitCode.DONE
    until(lambda: place.status("pole").progress.steps and len(pids(place, "pole")) == 3, "it trains on, with all roles")
    assert place.status("pole").state == "running"


def test_detached_it_returns_at_once_and_a_second_of_that_name_is_refused(place: LocalBackend, tmp_path: Path) -> None:
    all_cores = f"spec.roles.actor.resources.cpu={local_pool().cpu:g}"
    create = ("create", "-d", "-f", experiment_file(tmp_path), "--set", all_cores)
    first = surreal(*create)
    assert first.returncode == ExitCode.DONE and first.stdout == ""
    assert "warning: " in first.stderr and "pole goes on in the background" in first.stderr
    for second in (surreal(*create), surreal(*create, "--dry-run")):
        assert second.returncode == ExitCode.INVALID
        assert "surreal delete pole" in second.stderr and "--set metadata.name=" in second.stderr
        assert "warning" not in second.stderr, "why it is refused is all there is to say"
    assert place.names() == ["pole"]


def test_what_is_wrong_starts_nothing(place: LocalBackend, tmp_path: Path) -> None:
    file = experiment_file(tmp_path)
    elsewhere = surreal("create", file, "--on", "rays")
    assert elsewhere.returncode == ExitCode.INVALID and "did you mean 'ray'?" in elsewhere.stderr
    misspelt = surreal("create", file, "--set", "spec.algorithm.config.learning_rte=1")
    assert misspelt.returncode == ExitCode.INVALID and "learning_rate" in misspelt.stderr
    assert place.names() == []
