"""`surreal cp` copies files of a run, and refuses what would overwrite or is not there."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from surreal.cli.commands.run.files import command
from surreal.orchestrator.run import home
from surreal.protocol.errors import InvalidInput, NotFound


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    folder = home.new_folder("pole").path
    for name in ("best-000000000010", "step-000000000010"):
        (folder / "checkpoints" / name).mkdir(parents=True)
        (folder / "checkpoints" / name / "manifest.json").write_text(name)
    (folder / "experiment.yaml").write_text("kind: Experiment")
    return tmp_path / "there"


def cp(source: str, target: Path, *more: str) -> None:
    CliRunner().invoke(command, [source, str(target), *more], catch_exceptions=False, standalone_mode=False)


def test_files_are_copied_by_the_beginning_of_their_name(run: Path) -> None:
    cp("pole:checkpoints/best", run)
    assert [path.name for path in run.iterdir()] == ["best-000000000010"]
    assert (run / "best-000000000010/manifest.json").read_text() == "best-000000000010"
    cp("pole:checkpoints", run)
    assert (run / "checkpoints/step-000000000010/manifest.json").is_file()
    cp("pole:experiment.yaml", run)
    assert (run / "experiment.yaml").read_text() == "kind: Experiment"


@pytest.mark.parametrize("path", [".", "./", "././/."])
def test_a_dot_is_the_whole_folder_and_not_the_one_of_all_runs(run: Path, path: str) -> None:
    home.new_folder("other")
    cp(f"pole:{path}", run)
    assert sorted(each.name for each in run.iterdir()) == ["checkpoints", "experiment.yaml"]
    cp("pole:./checkpoints//best", run)
    assert (run / "best-000000000010/manifest.json").is_file()


def test_what_is_there_is_kept_unless_forced(run: Path) -> None:
    cp("pole:experiment.yaml", run)
    (run / "experiment.yaml").write_text("mine")
    with pytest.raises(InvalidInput, match="experiment.yaml: is there already. Name another folder, or give --force"):
        cp("pole:experiment.yaml", run)
    assert (run / "experiment.yaml").read_text() == "mine"
    cp("pole:experiment.yaml", run, "--force")
    assert (run / "experiment.yaml").read_text() == "kind: Experiment"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("pole", "must be NAME:PATH"),
        ("pole:", "must be NAME:PATH"),
        ("pole:nothing", r"pole has no file whose name begins so\. Its folder has checkpoints/, experiment\.yaml\."),
        ("pole:checkpoint/best", r"begins so \(did you mean 'checkpoints'\?\)\. Its folder has checkpoints/, exp"),
        (
            "pole:checkpoints/bset-000000000010/x",
            r"did you mean 'checkpoints/best-000000000010'\?\)\. checkpoints/ has b",
        ),
        ("pole:experiment.yaml/x", r"Its folder has checkpoints/, experiment\.yaml\."),
        ("pole:../../", r"pole:\.\./\.\./: PATH takes no '\.\.'"),
        ("pole:checkpoints/../experiment.yaml", r"PATH takes no '\.\.'.* Begin it at the run's folder"),
        ("pale:logs", "did you mean 'pole'"),
    ],
)
def test_a_source_that_is_not_there_is_named(run: Path, source: str, text: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match=text):
        cp(source, run)
