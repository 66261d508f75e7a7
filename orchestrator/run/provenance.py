"""What a run was started with, so that a curve can be explained a year later."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("surreal", "torch", "numpy", "mujoco", "gymnasium")


def provenance(code: Path, digest: str | None = None) -> dict[str, Any]:
    """Versions, git commit of the folder `code`, sha256 of it packed, machine, command line and time, as plain data."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": sys.argv,
        "code": str(code.absolute()),
        "code_digest": digest,
        "git_commit": git_commit(code),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "host": platform.node(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
    }


def git_commit(folder: Path) -> str | None:
    """The commit checked out around `folder`, with `-dirty` for uncommitted changes; None outside of git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        # looking must not take the lock of an index that somebody commits from
        env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=env)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
