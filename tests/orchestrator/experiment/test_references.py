"""The names by which workers import an algorithm, and the folder that has its module."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import surreal
from surreal.orchestrator.experiment.references import reference, source_folder
from surreal.protocol.errors import InvalidInput

TEXT = """\
import surreal


class Settings(surreal.Config):
    rate: float = 1.0


def learn(process):
    pass


OWN = surreal.Algorithm("own", Settings, [surreal.Role("learner", learn, ends_run=True)], [])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of imports; its modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def module(folder: Path, name: str) -> Any:
    """The module with the algorithm, written and imported."""
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_a_built_in_algorithm_is_its_name_and_what_was_said(folder: Path) -> None:
    assert reference(surreal.PPO) == reference("ppo") == {"name": "ppo"}
    assert reference(surreal.PPO(epochs=3)) == {"name": "ppo", "config": {"epochs": 3}}
    assert source_folder(surreal.PPO(epochs=3)) is source_folder("own_algorithm:OWN") is None


@pytest.mark.parametrize("name", ["own_algorithm", "own_package.algorithms.own"])
def test_an_own_algorithm_is_its_module_and_comes_from_the_folder_above_its_package(folder: Path, name: str) -> None:
    own = module(folder, name).OWN
    assert reference(own(rate=2.0)) == {"name": f"{name}:OWN", "config": {"rate": 2.0}}
    assert source_folder(own(rate=2.0)) == folder


def test_the_module_of_its_roles_comes_before_one_that_only_imports_it(folder: Path) -> None:
    (folder / "a_user.py").write_text("from own_algorithm import OWN as MINE\n")
    own = module(folder, "own_algorithm").OWN
    importlib.import_module("a_user")
    assert reference(own) == {"name": "own_algorithm:OWN"}


def test_an_algorithm_without_a_name_is_refused(folder: Path) -> None:
    found = module(folder, "own_algorithm")
    own, found.OWN = found.OWN, None
    with pytest.raises(InvalidInput, match="algorithm: 'own' has no importable name.*top of a module"):
        reference(own)


def test_what_is_no_algorithm_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"algorithm: 3 is no algorithm. Give one such as surreal.PPO\(\)"):
        reference(3)  # type: ignore[arg-type]
