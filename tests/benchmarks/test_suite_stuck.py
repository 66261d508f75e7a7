"""Does a suite leave a run that neither ends nor can be stopped, and still do the others?"""

from pathlib import Path

import pytest

from learning import experiments
from learning.scheduler import Clock
from learning.table import Budget, Cell, Contestant, cells

STUBBORN = """#!/bin/sh
echo "$@" >> {asked}
[ "$1" = status ] && echo '{{"state": "{state}", "reason": ""}}'
"""


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """A run that was begun, in the home `tmp_path`."""
    (found,) = cells([Contestant.parse("ppo")], ["CartPole-v1"], [1], Budget(2000))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"{found.name}.yaml").write_text(found.document)
    return found


@pytest.mark.parametrize("state", ["running", "pending"])
@pytest.mark.parametrize(("minutes", "how"), [(None, "waited for"), (0.0, "stopped")])
def test_a_run_that_goes_on_whatever_is_asked_of_it_is_left_and_told_of(
    cell: Cell,
    minutes: float | None,
    how: str,
    state: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, asked = tmp_path / "surreal", tmp_path / "asked"
    command.write_text(STUBBORN.format(asked=asked, state=state))
    command.chmod(0o755)
    monkeypatch.setattr(experiments, "SURREAL", str(command))
    assert experiments.Experiments(tmp_path).run(cell, Clock(minutes)) is None
    look = f"SURREAL_HOME={tmp_path} surreal status {cell.name}"
    assert f"{cell.name}: it runs on, for it cannot be {how}. Look at it: {look}\n" in capsys.readouterr().err
    assert asked.read_text().count(f"wait {cell.name}\n") == experiments.TRIES
    assert (f"stop {cell.name}\n" in asked.read_text()) == (how == "stopped")
