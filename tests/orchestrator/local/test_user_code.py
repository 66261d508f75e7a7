"""`spec.code` on this machine: a run keeps the code that it was made with."""

import json
import shutil
from pathlib import Path

import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.run import home
from surreal.orchestrator.run.code_archive import pack
from surreal.protocol.errors import InvalidInput
from tests.orchestrator.documents import minimal
from tests.orchestrator.runs import HERE, begun, ended, finish, plan

SAID = """print(f"{process.wiring.name} begins at {steps}")"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of one's own with the toy algorithm, beside where an experiment file would be."""
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(HERE / "roles.py", folder)
    assert SAID in (folder / "roles.py").read_text()
    return folder


def start(place: LocalBackend, mine: Path) -> str:
    planned = plan().model_copy(update={"code": f"./{mine.name}"})
    place.create(Experiment.from_data(minimal(), folder=mine.parent), planned)
    return planned.name


def test_editing_the_code_changes_no_run_that_is_there(place: LocalBackend, mine: Path) -> None:
    made = pack(mine)
    name = start(place, mine)
    begun(place, name, "learner")
    (mine / "roles.py").write_text("raise SystemExit('edited')")
    place.stop(name)
    place.resume(name)
    begun(place, name, "learner", times=2)
    finish(place, name)
    assert ended(place, name).state == "succeeded"
    folder = home.find(name)
    assert json.loads(folder.provenance.read_text())["code_digest"] == made.digest
    assert SAID in (folder.code / "roles.py").read_text()


def test_code_that_cannot_be_packed_starts_nothing(place: LocalBackend, mine: Path) -> None:
    (mine / "elsewhere").symlink_to("/etc/hosts")
    with pytest.raises(InvalidInput, match="leads outside"):
        start(place, mine)
    assert place.names() == []


def test_without_the_key_the_files_own_folder_is_found_as_it_is(place: LocalBackend, mine: Path) -> None:
    place.create(Experiment.from_data(minimal(), folder=mine), plan())
    begun(place, "toy", "learner")
    assert not home.find("toy").code.exists()
    assert json.loads(home.find("toy").provenance.read_text())["code_digest"] is None
