"""The wheel holds exactly the tracked files of the layers, under the one namespace."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
INCLUDED = PROJECT["tool"]["hatch"]["build"]["only-include"]
LAYERS = [path for path in INCLUDED if "/" not in path]
FRONT_DOOR = "src/surreal/"


def layer_files() -> set[str]:
    """The layers' files that are there and that git knows, or would with the next `git add`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *INCLUDED]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a source archive has no list of tracked files")
def test_the_wheel_holds_what_is_tracked(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=200)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {f"surreal/{name.removeprefix(FRONT_DOOR)}" for name in layer_files()}
    assert "surreal/__init__.py" in names


def test_the_links_of_the_namespace_are_the_layers() -> None:
    links = {path.name: os.readlink(path) for path in (ROOT / "src/surreal").iterdir() if path.is_symlink()}
    assert links == {layer: f"../../{layer}" for layer in LAYERS}


def test_the_front_door_is_the_only_code_beside_the_links() -> None:
    real = {path.name for path in (ROOT / "src/surreal").iterdir() if not path.is_symlink()} - {"__pycache__"}
    assert real == {"__init__.py", "py.typed"}


def test_the_version_is_said_in_one_place(tmp_path: Path) -> None:
    import surreal

    assert "version" in PROJECT["project"]["dynamic"]
    command = [sys.executable, "-P", "-m", "hatchling", "version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout.strip() == surreal.__version__
