"""Checks of the things that experiments need: one line for each. Here, those of this machine."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from surreal.orchestrator.run.home import home
from surreal.provisioner import subprocesses as commands
from surreal.provisioner.pools import local as machine

State = Literal["ok", "warn", "absent", "unknown", "missing"]
"""`absent` is not there and not needed, `unknown` is hidden from us, `missing` is needed."""

SELF_CHECK = ["-P", "-m", "surreal.algorithms.doctor"]
LEARNING_SECONDS = 60.0
"""Seconds that imports of torch and MuJoCo may take on a slow disk."""
DOCKER_SECONDS = 10.0
"""Seconds in which a daemon that works answers on a busy machine."""
LEAST_DISK = 2**30
LEAST_SHARED = 64 * 2**20
LEAST_FILES = 1024
FILES_FOR_EACH = 3
"""Descriptors that a learner holds for each process of its run."""

PROGRAMS = {
    "docker": "builds images, and is minikube's driver",
    "minikube": "makes a cluster on this machine",
    "kubectl": "looks into a cluster beside surreal",
    "helm": "surreal cluster install",
    "terraform": "makes clusters on GKE and EKS; tofu does too",
}
"""Program -> what it is for. None is needed to train on this machine."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    check: str
    state: State
    found: str
    follows: str = ""
    """Advice or consequence; empty where there is nothing to say."""

    def to_data(self) -> dict[str, str]:
        """Return the check as plain data."""
        return asdict(self)


def local_checks() -> Iterator[Check]:
    """Yield the checks of this machine, each as soon as it is done."""
    yield Check("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")
    yield _cores()
    yield Check("memory", "ok", rough(machine.usable_memory()))
    yield from _learning()
    yield _home()
    yield from _shared_memory()
    yield _open_files()
    yield from (_program(name, purpose) for name, purpose in PROGRAMS.items())


def _cores() -> Check:
    cores = machine.usable_cores()
    follows = "" if cores >= 2 else "actors and learner share it, so that they wait for each other"
    return Check("cores", "warn" if follows else "ok", f"{cores:g}", follows)


def _learning() -> Iterator[Check]:
    """Run `surreal.algorithms.doctor` in a process of its own, since a broken driver may end it."""
    command = [sys.executable, *SELF_CHECK]
    try:
        with tempfile.TemporaryDirectory() as folder:  # MuJoCo writes a log into the folder that it is called in
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LEARNING_SECONDS, check=False, cwd=folder
            )
    except subprocess.TimeoutExpired:
        yield Check("learning", "missing", f"no answer in {LEARNING_SECONDS:g} s", f"try {' '.join(command)}")
        return
    for line in done.stdout.splitlines():
        name, state, found, follows = line.split("\t")
        yield Check(name, "ok" if state == "ok" else "missing", found, follows)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        yield Check("learning", "missing", f"exit code {done.returncode}: {last}", f"try {' '.join(command)}")


def _home() -> Check:
    """Check that runs can be written, and that there is room for them."""
    folder = home()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check("SURREAL_HOME", "missing", f"{folder} cannot be written", "set SURREAL_HOME to a folder of yours")
    free = shutil.disk_usage(there).free
    follows = "" if free >= LEAST_DISK else "runs keep checkpoints and logs: make room, or set SURREAL_HOME"
    return Check("SURREAL_HOME", "warn" if follows else "ok", f"{folder}, {rough(free)} free", follows)


def _shared_memory() -> Iterator[Check]:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return  # macOS has none
    size = shutil.disk_usage(folder).total
    follows = "" if size >= LEAST_SHARED else "torch uses it between processes: docker run --shm-size=1g"
    yield Check("/dev/shm", "warn" if follows else "ok", rough(size), follows)


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if soft == resource.RLIM_INFINITY else f"{soft:,}"
    few = soft != resource.RLIM_INFINITY and soft < LEAST_FILES
    more = f"; ulimit -n {hard} raises it" if hard > soft else ""
    follows = f"enough for about {soft // FILES_FOR_EACH} processes in one run{more}" if few else ""
    return Check("open files", "warn" if few else "ok", shown, follows)


def _program(name: str, purpose: str) -> Check:
    path = shutil.which(name)
    if path and name == "docker" and (silence := _docker_is_silent(path)):
        return Check(name, "warn", f"{path}, but its daemon does not answer", f"start Docker: {silence}")
    if path:
        return Check(name, "ok", path)
    return Check(name, "absent", "not on PATH", f"{purpose}: {commands.INSTALL[name]}")


def _docker_is_silent(path: str) -> str:
    """Return why the daemon behind `docker` cannot be used, in its own words; empty where it answers."""
    try:
        command = [path, "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}"
    return (done.stderr.strip().splitlines() or ["it said nothing"])[-1] if done.returncode else ""


def rough(size: float) -> str:
    """Write bytes as `11.7Gi` or `64Mi`."""
    return f"{size / 2**30:.1f}Gi" if size >= 2**30 else f"{size / 2**20:.0f}Mi"
