"""`surreal profile`."""

import json
from pathlib import Path

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.protocol.errors import ExitCode
from tests.cli.terminal import surreal
from tests.orchestrator.runs import begun, create, pid


def test_a_run_that_goes_on_is_profiled_without_a_restart(place: LocalBackend, tmp_path: Path) -> None:
    name = create(place)
    before = pid(place, name, "learner")
    begun(place, name, "actor")
    done = surreal("profile", name, "--seconds", "3", "--out", str(tmp_path / "out"), "-o", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {each["name"] for each in document["processes"]} >= {"learner/0", "actor/0", "actor/1"}
    for process in document["processes"]:
        total = sum(row["seconds"] for row in process["operations"])
        assert abs(total - process["wall_seconds"]) < 0.01 * process["wall_seconds"]
    assert {"report.html", "trace.json", "profile.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert pid(place, name, "learner") == before
    place.stop(name)
    late = surreal("profile", name)
    assert late.returncode == ExitCode.INVALID and "is stopped, and only a run that runs has a profile" in late.stderr


def test_a_profile_of_nothing_is_not_found(place: LocalBackend) -> None:
    assert surreal("profile", "toy").returncode == ExitCode.NOT_FOUND
