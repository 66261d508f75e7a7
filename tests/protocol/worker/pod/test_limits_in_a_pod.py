"""Limits of a run in a cluster: the pod that serves control ends it, tells all of it, and fails its Job."""

import json
from pathlib import Path

from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.guard.spent import Spent
from surreal.protocol.worker.termination import OUTCOME_FILE, TerminationMessage
from tests.orchestrator.hooks import hook
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]

ROLES = """
from pathlib import Path
from surreal.protocol.errors import ExitCode

def learner(process):
    process.report({}, steps=40)
    while process.session.alive("actor") != {0}:
        process.stopping.wait(0.05)
    process.wiring.limits["dollars"] = 1e-9
    process.stopping.wait()
    Path(process.wiring.run_folder, "saved").touch()
    return ExitCode.PREEMPTED

def actor(process):
    process.stopping.wait()
"""


def test_a_run_that_has_cost_enough_saves_stops_tells_all_and_is_not_started_again(
    make_pods: MakePods, folder: Path
) -> None:
    with hook() as heard:
        changes = {"limits": {"dollarsPerHour": 3600.0}, "notify": {"url": heard.url, "stillMinutes": 10.0}}
        pods = make_pods(ROLES, {"learner": 1, "actor": 1}, changes=changes)
        learner, actor = pods.start("learner"), pods.start("actor")
        assert learner.wait() == ExitCode.STOPPED
        assert actor.wait() == ExitCode.DONE
        assert "the run stopped: spec.limits.cost: 1e-09 $ are used up" in actor.log()
        said, run_folder = learner.ending(), folder / "learner"
        assert said.exit == "STOPPED" and said.reason.startswith("spec.limits.cost: 1e-09 $ are used up.")
        # one dollar a second
        assert said.progress["steps"] == 40
        assert abs(said.progress["cost"] / 3600 - said.progress["hours"]) < 1e-6
        assert (run_folder / "saved").exists()
        assert TerminationMessage.parse((run_folder / OUTCOME_FILE).read_text()) == said
        (told,) = heard.heard
    assert told["event"] == "end" and told["state"] == "stopped" and told["progress"]["steps"] == 40


def test_hours_and_dollars_are_counted_over_restarts_and_a_damaged_file_is_no_price(tmp_path: Path) -> None:
    first = Spent.read(tmp_path).after(1800.0, 4.0, moved=False).after(60.0, 4.0, moved=True)
    assert (first.seconds, first.still) == (1860.0, 0.0)
    first.write(tmp_path)
    again = Spent.read(tmp_path)
    assert again == first and again.dollars is not None and abs(again.dollars - 4.0 * 1860 / 3600) < 1e-9
    assert again.after(10.0, None, moved=False).after(10.0, 4.0, moved=False).dollars is None
    for damage in ("", "{}", "[]", json.dumps({"seconds": -1, "dollars": 0, "still": 0}), '{"seconds": NaN}'):
        (tmp_path / "spent.json").write_text(damage)
        assert Spent.read(tmp_path) == Spent(dollars=None)
