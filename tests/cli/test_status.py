"""`surreal status` and `surreal list`."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from surreal.cli.commands.run.status import _document
from surreal.cli.ui.watch import _watch_plain, view
from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.make import make_plan
from surreal.orchestrator.prediction.calibration import Calibration, Machine, key_of
from surreal.orchestrator.prediction.queueing import Service
from surreal.orchestrator.run import home
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import ExitCode
from surreal.protocol.telemetry.gauges import Progress
from surreal.provisioner.pools.local import local_pool
from tests.cli.terminal import experiment_file, surreal, terminal
from tests.orchestrator.runs import begun, create, finish, pid, plan, until


def test_status_prints_the_stable_document_or_a_table(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    begun(place, name, "actor")
    document = json.loads(surreal("status", name, "-o", "json").stdout)
    assert (document["name"], document["state"], document["total_steps"]) == ("toy", "running", 10**6)
    assert [each["index"] for each in document["roles"]["actor"]] == [0, 1]
    assert yaml.safe_load(surreal("status", name, "-o", "yaml").stdout).keys() == document.keys()
    table = surreal("status", name).stdout
    assert "running" in table and "ROLE" in table and str(document["roles"]["learner"][0]["pid"]) in table
    listed = json.loads(surreal("list", "-o", "json").stdout)
    assert [each["name"] for each in listed] == ["toy"] and listed[0].keys() == document.keys()
    assert "toy" in surreal("list").stdout


def test_a_run_that_goes_on_says_its_prediction_as_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    plan = make_plan(load_experiment(experiment_file(tmp_path)), [local_pool()])
    (tmp_path / "plan.json").write_text(plan.to_json())
    status = Status(plan.name, "local", str(tmp_path), "running", progress=Progress(steps_per_second=900.0))
    assert _document(status).keys() == status.document().keys()
    key, times = key_of(plan.algorithm, plan.env, plan.config), Service(100e-6, 100e-6)
    services = {"actor": times, "learner": times}
    Calibration(key, str(plan.env["id"]), plan.algorithm, Machine.here(), services).write()
    assert _document(status)["prediction"]["steps_per_second"] > 0
    over = replace(status, state="succeeded")
    assert _document(over) == over.document()


def test_status_says_what_the_channels_carry(place: LocalBackend) -> None:
    name = create(place, plan(learner="eater", actor="feeder", evaluator="actor"))
    until(lambda: _all_count(place.status(name)), "all ends count, and a rate is known")
    experience, control = json.loads(surreal("status", name, "-o", "json").stdout)["channels"]
    assert (experience["name"], experience["kind"], control["name"]) == ("experience", "stream", "control")
    assert experience["messages_per_second"] > 0 and experience["refused"] == experience["dropped"] == 0
    ends = {(each["process"], each["end"]): each for each in experience["processes"]}
    assert ends.keys() == {("actor/0", "send"), ("actor/1", "send"), ("learner/0", "receive")}
    assert all(each["bytes"] == 800 * each["messages"] > 0 for each in ends.values())
    with terminal("status", "-w", name) as screen:
        screen.wait_for("MSG/S")
        screen.wait_for("experience")
        finish(place, name)
        screen.wait_for("toy succeeded")
    done = surreal("status", name)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    header = ["CHANNEL", "MSG/S", "MB/S", "RESENT", "DUPS", "REFUSED", "DROPPED", "BLOCKED", "DEPTH"]
    assert header in [line.split() for line in lines]
    over = ["experience", "-", "-", "0", "0", "0", "0", "-", "-"]
    assert over in [line.split() for line in lines], "nothing moves any more"
    assert ["actor", "0-1", "done"] in [line.split()[:3] for line in lines], "alike processes share a line"


def _all_count(status: Status) -> bool:
    """Have both actors and the learner reported messages of `experience`, and some of them twice?"""
    found = next((each for each in status.channels if each.name == "experience"), None)
    return bool(found and found.flow("messages_per_second") and sum(end.bytes > 0 for end in found.ends) == 3)


def test_the_live_view_says_why_roles_wait() -> None:
    status = Status("toy", "kube", "", "pending", "learner: no node\nactor: no quota")
    out = StringIO()
    Console(file=out, width=80).print(view(status, ["created"]))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    assert lines[-4:] == ["learner: no node", "actor: no quota", "created", "Ctrl-C detaches"]


def test_a_reason_of_which_only_a_number_changes_is_one_line(
    place: LocalBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    name = create(place)
    reasons = ["", *(f"actor/0 is inside env.step for {seconds} s" for seconds in range(10, 20)), "actor/0 was killed"]
    statuses = [Status(name, "local", "", "running", reason) for reason in reasons]
    _watch_plain(place, name, lambda _: iter(statuses))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("actor/0")]
    assert said == ["actor/0 is inside env.step for 10 s", "actor/0 was killed"]


def test_a_cause_that_the_supervisor_says_is_not_said_again_without_a_time(
    place: LocalBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    name = create(place)

    def statuses() -> Iterator[Status]:
        yield Status(name, "local", "", "running", "")
        with home.find(name).supervisor_log.open("a") as log:
            log.write("12:00:00.000 INFO actor/0 cannot go on (exit 3): no licence: the run failed\n")
        yield Status(name, "local", "", "running", "actor/0 and actor/1 cannot go on (exit 3): no licence")
        yield Status(name, "local", "", "running", "learner/0 cannot go on (exit 3): no memory")

    _watch_plain(place, name, lambda _: statuses())
    said = capsys.readouterr().err
    assert said.count("no licence") == 1 and "12:00:00.000 INFO actor/0 cannot go on" in said
    assert said.count("no memory") == 1, "what no sentence of the supervisor says is said"


def test_watching_shows_the_run_live_until_it_is_over(place: LocalBackend) -> None:
    name = create(place)
    pid(place, name, "learner")
    begun(place, name, "actor")
    with terminal("status", "-w", name) as screen:
        screen.wait_for("actor 2/2")
        finish(place, name)
        screen.wait_for("toy succeeded")
        assert screen.end() == ExitCode.DONE


def test_an_unknown_experiment_is_not_found_with_the_nearest_name(place: LocalBackend) -> None:
    create(place)
    for command in (["status"], ["logs"], ["wait"], ["stop"], ["resume"], ["delete", "-y"], ["tensorboard"]):
        done = surreal(*command, "tony")
        assert done.returncode == ExitCode.NOT_FOUND, command
        assert done.stderr == "no experiment 'tony' (did you mean 'toy'?). There are: toy.\n"


def test_an_empty_list_says_how_to_begin(place: LocalBackend) -> None:
    done = surreal("list")
    assert done.returncode == ExitCode.DONE and done.stdout == "" and "surreal create" in done.stderr
    assert surreal("list", "-o", "json").stdout == "[]\n"


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_gets_plain_lines(place: LocalBackend, term: str) -> None:
    name = create(place)
    with terminal("status", "-w", name, term=term) as screen:
        screen.wait_for("toy running")
        begun(place, name, "learner")
        finish(place, name)
        screen.wait_for("toy succeeded")
        assert "\x1b[" not in screen.shown


def test_a_run_that_is_deleted_while_it_is_listed_is_left_out(place: LocalBackend) -> None:
    class Vanishing(LocalBackend):
        def names(self) -> list[str]:
            return ["gone", *super().names()]

    name = create(place)
    assert [status.name for status in Vanishing().statuses()] == [name]
