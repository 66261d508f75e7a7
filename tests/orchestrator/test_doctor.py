"""What the doctor says of this machine."""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from surreal.orchestrator import doctor
from surreal.orchestrator.doctor import Check, local_checks


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is run in place of the look at torch and MuJoCo, which takes seconds."""
    command = ["-c", "print('torch\\tok\\t2.0\\t')"]

    monkeypatch.setattr(doctor, "SELF_CHECK", command)
    yield command


def looked_at() -> dict[str, Check]:
    return {each.check: each for each in local_checks()}


def test_a_home_that_cannot_be_written_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learning: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "file" / "home"))
    assert looked_at()["SURREAL_HOME"].state == "missing"
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "not" / "yet"))
    assert looked_at()["SURREAL_HOME"].state == "ok"
    assert not (tmp_path / "not").exists(), "it looks only"


def test_what_ends_the_look_at_torch_ends_nothing_else(learning: list[str]) -> None:
    learning[:] = ["-c", "print('torch\\tok\\t2.0\\t', flush=True); import os; os.abort()"]
    found = looked_at()
    assert found["torch"].state == "ok"
    assert found["learning"].state == "missing" and "exit code -6" in found["learning"].found
    assert sys.executable in found["learning"].follows
    assert "docker" in found


def test_what_a_library_writes_where_it_is_called_does_not_lie_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learning: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    learning[:] = ["-c", "open('MUJOCO_LOG.TXT', 'w').close(); print('torch\\tok\\t2.0\\t')"]
    assert looked_at()["torch"].state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_mujoco_that_was_half_upgraded_comes_with_the_command_that_repairs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mujoco").mkdir()
    (tmp_path / "mujoco" / "__init__.py").write_text("raise ImportError('core bindings are missing or corrupted')")
    for name in ("mujoco", "mujoco_core"):
        folder = tmp_path / f"{name}-4.0.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 4.0.0\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = looked_at()["environments"]
    assert found.state == "missing" and "core bindings are missing" in found.found
    # Newer releases of the real one have further parts, which are named too.
    assert found.follows.startswith("pip install --force-reinstall --no-deps mujoco mujoco-core")


def test_few_open_files_are_told_as_a_number_of_processes(learning: list[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        found = looked_at()["open files"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found.state == "warn"
    assert "about 170 processes" in found.follows and f"ulimit -n {hard}" in found.follows


@pytest.mark.parametrize(("status", "state"), [(0, "ok"), (1, "warn")])
def test_docker_without_its_daemon_is_not_ok(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learning: list[str], status: int, state: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho cannot connect to the daemon >&2\nexit {status}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = looked_at()["docker"]
    assert found.state == state
    assert ("cannot connect to the daemon" in found.follows) == bool(status)
