"""The circumstances that a run was started in, so that a curve can be explained a year later."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from surreal.algorithms.recording.versions import distributions_of, installed

PACKAGES = ("surreal", "torch", "numpy", "mujoco", "gymnasium")
"""Distributions that decide what a step of an environment or an update computes."""
PYTHON = "python"


def provenance(code: Path, digest: str | None = None, environment: str = "") -> dict[str, Any]:
    """Return versions, git commit of the folder `code`, sha256 of it packed, machine, command line and time.

    `environment` is the id of the environment, whose own distribution is among the versions.
    """
    return {
        "created": now(),
        "argv": sys.argv,
        "code": str(code.absolute()),
        "code_digest": digest,
        "git_commit": git_commit(code),
        "python": platform.python_version(),
        "versions": versions(environment),
        "host": platform.node(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
    }


def now() -> str:
    """Return the moment, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions(environment: str = "") -> dict[str, str | None]:
    """Return the version of every package that decides the numbers of a run, None for one that is not installed."""
    return installed((*PACKAGES, *_distributions(environment)))


def changed_versions(recorded: Mapping[str, Any], environment: str = "") -> list[str]:
    """Return what differs now from a record of `provenance`, as `mujoco 3.3.7 -> 3.9.0`, with Python itself.

    Of a run that was resumed with other versions the newest record counts.
    """
    resumed = recorded.get("resumed") or [{}]
    before = {PYTHON: recorded.get(PYTHON), **(recorded.get("versions") or {}), **(resumed[-1].get("versions") or {})}
    found = {PYTHON: platform.python_version(), **versions(environment)}
    return [
        f"{package} {before[package] or 'not installed'} -> {found[package] or 'not installed'}"
        for package in before
        if package in found and before[package] != found[package]
    ]


def _distributions(environment: str) -> list[str]:
    """Return the distributions that a module of one's own, or a namespace of gymnasium's, belongs to."""
    module = environment.partition(":")[0] if ":" in environment else environment.partition("/")[0]
    if module == environment:
        return []
    return [name for name in distributions_of(module.partition(".")[0]) if name not in PACKAGES]


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out around `folder`, with `-dirty` for uncommitted changes; None outside of git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        # looking must not take the lock of an index that a commit is being made from
        env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=env)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
