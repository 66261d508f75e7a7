"""The logs of a run as one stream."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.run import home
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.supervision.record import ProcessRecord, RunRecord
from surreal.protocol.errors import NotFound
from tests.orchestrator.runs import begun, create, finish, pid


@pytest.fixture
def folder(place: LocalBackend) -> Folder:
    """A run that is over, without logs yet."""
    folder = home.new_folder("quiet")
    folder.make()
    processes = [ProcessRecord("learner", 0), ProcessRecord("actor", 0), ProcessRecord("actor", 1)]
    RunRecord("stopped", processes=processes).write(folder)
    return folder


def write(path: Path, text: str, day: datetime = datetime(2026, 3, 2, 12)) -> None:
    path.write_text(text)
    os.utime(path, (day.timestamp(), day.timestamp()))


def texts(place: LocalBackend, source: str | None = None, tail: int | None = None) -> list[str]:
    return [f"{line.source} {line.text}" for line in place.logs("quiet", source, tail)]


def test_lines_of_all_processes_and_attempts_are_merged_by_time(place: LocalBackend, folder: Folder) -> None:
    write(folder.process_log("actor", 0, 1), "10:00:01.000 INFO one\n10:00:04.000 INFO four\n")
    write(folder.process_log("actor", 0, 2), "10:00:06.000 INFO six\n")
    write(folder.process_log("learner", 0, 1), "10:00:02.000 ERROR two\nTraceback:\n10:00:05.000 INFO five\n")
    write(folder.supervisor_log, "10:00:03.000 INFO three\n")
    merged = [line.split(" ", 1)[1].split()[-1] for line in texts(place)]
    assert merged == ["one", "two", "Traceback:", "three", "four", "five", "six"]
    assert texts(place, "actor") == [
        "actor/0 10:00:01.000 INFO one",
        "actor/0 10:00:04.000 INFO four",
        "actor/0 10:00:06.000 INFO six",
    ]
    assert texts(place, tail=2) == ["learner/0 10:00:05.000 INFO five", "actor/0 10:00:06.000 INFO six"]
    assert texts(place, tail=0) == []


def test_midnight_does_not_turn_the_order_around(place: LocalBackend, folder: Folder) -> None:
    write(folder.process_log("actor", 0, 1), "23:59:59.000 INFO a\n00:00:02.000 INFO d\n", datetime(2026, 3, 2, 0, 1))
    write(folder.process_log("actor", 1, 1), "23:59:58.000 INFO z\n", datetime(2026, 3, 1, 23, 59, 58))
    write(folder.process_log("learner", 0, 1), "00:00:01.000 INFO c\n", datetime(2026, 3, 2, 0, 0, 1))
    assert [line[-1] for line in texts(place)] == ["z", "a", "c", "d"]


def test_a_last_line_without_an_end_is_shown(place: LocalBackend, folder: Folder) -> None:
    write(folder.process_log("actor", 0, 1), "10:00:01.000 INFO one\nhalf")
    assert texts(place)[-1] == "actor/0 half"


def test_a_misspelt_role_gets_the_nearest_and_all_there_are(place: LocalBackend, folder: Folder) -> None:
    with pytest.raises(NotFound) as caught:
        texts(place, "acter")
    assert str(caught.value) == (
        "quiet: has no role or process 'acter' (did you mean 'actor'?). "
        "It has: actor/0, actor/1, learner/0, supervisor."
    )
    with pytest.raises(NotFound, match="It has: actor/0"):
        texts(place, "actor/7")


def test_following_ends_with_the_run_and_misses_no_line(place: LocalBackend) -> None:
    name = create(place)
    following = place.logs(name, follow=True)
    first = next(following)
    pid(place, name, "learner")
    begun(place, name, "actor")
    finish(place, name)
    lines = [first, *following]
    assert lines[-1].source == "supervisor" and lines[-1].text.endswith("the run is over: succeeded")
    assert {line.source for line in lines} == {"supervisor", "learner/0", "actor/0", "actor/1", "evaluator/0"}
    assert sorted(map(repr, lines)) == sorted(map(repr, place.logs(name)))
