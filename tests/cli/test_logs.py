"""`surreal logs`."""

import json
import os
from datetime import UTC, datetime, timedelta

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
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


def test_programs_get_objects_with_the_time_of_each_line(place: LocalBackend) -> None:
    name = create(place)
    begun(place, name, "actor")
    rows = json.loads(surreal("logs", name, "actor", "-o", "json").stdout)
    assert {"actor/0", "actor/1"} == {row["source"] for row in rows}
    assert any(row["text"].endswith("actor/0 begins") for row in rows)
    assert all(datetime.fromisoformat(row["time"]).tzinfo for row in rows)
    place.stop(name)
    lines = surreal("logs", "-f", name, "actor/1", "-o", "json").stdout.splitlines()
    assert {json.loads(line)["source"] for line in lines} == {"actor/1"}
    assert surreal("logs", "-f", name, "-o", "yaml").returncode == ExitCode.INVALID


def test_lines_can_be_asked_for_by_their_time(place: LocalBackend) -> None:
    folder = home.new_folder("old")
    folder.make()
    RunRecord("stopped", processes=[ProcessRecord("actor", 0)]).write(folder)
    log = folder.process_log("actor", 0, 1)
    log.write_text("10:00:00.000 INFO early\n10:00:05.000 INFO late\n")
    noon = datetime(2026, 3, 2, 10, 0, 5)
    os.utime(log, (noon.timestamp(), noon.timestamp()))
    begin = (noon - timedelta(seconds=2)).astimezone().isoformat()
    assert surreal("logs", "old", "--since", begin).stdout == "actor/0    | 10:00:05.000 INFO late\n"
    assert surreal("logs", "old", "--since", "1d").stdout == ""
    stamped = surreal("logs", "old", "--timestamps", "--tail", "1").stdout
    at = noon.astimezone(UTC)
    assert stamped == f"actor/0    | {at:%Y-%m-%dT%H:%M:%S}.000Z 10:00:05.000 INFO late\n"
    wrong = surreal("logs", "old", "--since", "yesterday")
    assert wrong.returncode == ExitCode.INVALID and "write 90s, 5m, 2h or 1d" in wrong.stderr
