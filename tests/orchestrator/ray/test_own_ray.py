"""The Ray that `--on ray` starts on this machine: found again, closed to strangers, and gone with its last run."""

import json
import os
import subprocess
from pathlib import Path

import psutil
import pytest
import yaml

from surreal.protocol.errors import ExitCode
from tests.cli.terminal import SURREAL
from tests.orchestrator.sites import pole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def surreal(home: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with a SURREAL_HOME and a HOME of its own, and no variable of Ray."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    env = {**plain, "SURREAL_HOME": str(home / "surreal"), "HOME": str(home), **variables}
    return subprocess.run([*SURREAL, *arguments], capture_output=True, text=True, env=env, timeout=200, check=False)


def test_a_ray_of_our_own_lives_as_long_as_its_runs_and_lets_no_stranger_in(tmp_path: Path) -> None:
    file = tmp_path / "pole.yaml"
    file.write_text(yaml.safe_dump(pole("pole", total_steps=100_000_000)))
    mine, stranger = tmp_path / "mine", tmp_path / "stranger"
    for home in (mine, stranger):
        home.mkdir()
    assert surreal(mine, "list", "--on", "ray", "-o", "json").stdout.strip() == "[]", "looking starts none"
    assert not (mine / "surreal" / "own-ray").exists()
    created = surreal(mine, "create", "-d", str(file), "--on", "ray")
    try:
        assert created.returncode == ExitCode.DONE, created.stderr
        assert "starting Ray on this machine: dashboard off, token on" in created.stderr
        assert not (mine / ".ray").exists(), "Ray's own place for tokens is not ours to fill"
        own = json.loads((mine / "surreal" / "own-ray" / "ray.json").read_text())
        head = psutil.Process(own["pid"])
        below = head.children(recursive=True)
        assert (mine / "surreal" / "own-ray" / "token").stat().st_mode & 0o077 == 0
        status = surreal(mine, "status", "pole", "-o", "json")
        assert json.loads(status.stdout)["backend"] == "ray", status.stderr

        on = f"ray:{own['address']}"
        without = surreal(stranger, "list", "--on", on)
        assert without.returncode != 0 and "token" in without.stderr and "Traceback" not in without.stderr
        wrong = surreal(stranger, "list", "--on", on, RAY_AUTH_TOKEN="0" * 64)
        assert wrong.returncode != 0 and "RAY_AUTH_TOKEN" in wrong.stderr and "Traceback" not in wrong.stderr
    finally:
        deleted = surreal(mine, "delete", "pole", "-y")
    assert deleted.returncode == ExitCode.DONE and "it has ended" in deleted.stderr, deleted.stderr
    _, alive = psutil.wait_procs([head, *below], timeout=120)
    assert not alive
    assert "no Ray that surreal started" in surreal(mine, "status", "pole", "--on", "ray").stderr
