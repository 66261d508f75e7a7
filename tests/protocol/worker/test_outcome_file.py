"""The outcome of a run in a cluster, kept in its run folder for when its objects are gone."""

import pytest

from surreal.protocol.errors import ExitCode
from surreal.protocol.worker.termination import OUTCOME_FILE, TerminationMessage
from tests.protocol.pods import MakePods, make_pods

__all__ = ["make_pods"]

ROLES = """
import os
from surreal.protocol.errors import Fatal

def learner(process):
    if os.environ["HOW"] == "fatal":
        raise Fatal("no legs")
    if os.environ["HOW"] == "crashes":
        raise ValueError("a bug")
    process.session.gauges.set("learner/0", {"steps": 40})
"""


@pytest.mark.parametrize(("how", "exit_name"), [("returns", "DONE"), ("fatal", "FATAL"), ("crashes", "")])
def test_the_end_of_a_run_is_in_its_folder_and_a_crash_that_is_tried_again_is_none(
    make_pods: MakePods, how: str, exit_name: str
) -> None:
    pods = make_pods(ROLES, {"learner": 1})
    path = pods.folder / "learner" / OUTCOME_FILE
    path.write_text(TerminationMessage("DONE").line())
    assert pods.start("learner", HOW=how).wait() == ExitCode[exit_name or "FAILED"]
    found = TerminationMessage.parse(path.read_text()) if path.exists() else None
    assert (found.exit if found else "") == exit_name
