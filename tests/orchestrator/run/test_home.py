"""The folder of all experiments."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.run import home
from surreal.protocol.errors import InvalidInput, NotFound


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def test_the_home_is_below_the_users_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert home.home() == tmp_path / "home"
    monkeypatch.delenv("SURREAL_HOME")
    assert home.home() == Path.home() / ".surreal"


def test_an_unknown_experiment_gets_the_nearest_name() -> None:
    home.new_folder("cheetah-ppo").make()
    with pytest.raises(NotFound) as caught:
        home.find("cheeta-ppo")
    assert str(caught.value) == ("no experiment 'cheeta-ppo' (did you mean 'cheetah-ppo'?). There are: cheetah-ppo.")


@pytest.mark.parametrize("name", ["..", ".", "", "../experiments", "/etc", "a\0b"])
def test_a_name_never_leads_out_of_the_home(name: str) -> None:
    with pytest.raises(NotFound):
        home.find(name)


def test_a_home_that_cannot_be_made_is_said_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "file"))
    with pytest.raises(InvalidInput, match="Set it to a folder of yours"):
        home.names()


def test_an_experiments_folder_that_others_could_read_is_closed() -> None:
    home.make_experiments().chmod(0o755)
    assert home.make_experiments().stat().st_mode & 0o777 == 0o700


def test_a_look_makes_no_home_and_changes_none() -> None:
    assert home.names() == []
    with pytest.raises(NotFound, match="There are none yet"):
        home.find("cheetah")
    assert not home.home().exists()
    home.make_experiments().chmod(0o750)
    assert home.names() == [] and home.experiments().stat().st_mode & 0o777 == 0o750


def test_json_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    home.write_json(path, {"state": "running"})
    with pytest.raises(TypeError):
        home.write_json(path, {"state": object()})
    assert home.read_json(path) == {"state": "running"}
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_belong_together_are_replaced_all_or_none(tmp_path: Path) -> None:
    first, second = tmp_path / "experiment.yaml", tmp_path / "plan.json"
    home.write_files({first: "1", second: "1"})
    with pytest.raises(UnicodeError):
        home.write_files({first: "2", second: "\ud800"})
    assert (first.read_text(), second.read_text()) == ("1", "1")
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_checkpoints_that_a_run_removes_meanwhile_are_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, checkpoints = shutil.copy2, tmp_path / "run" / "checkpoints"
    for step in ("step-1", "step-2", "step-3"):
        (checkpoints / step).mkdir(parents=True)
        (checkpoints / step / "manifest.json").touch()

    def slow(source: Path, target: Path) -> Any:
        shutil.rmtree(checkpoints / "step-2", ignore_errors=True)
        return copy(source, target)

    monkeypatch.setattr(shutil, "copy2", slow)
    home.copy_files(tmp_path / "run", "checkpoints/", tmp_path / "there")
    copied = [path.parent.name for path in (tmp_path / "there").rglob("*.json")]
    assert sorted(copied) == ["step-1", "step-3"]
