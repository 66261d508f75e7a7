"""The Ray cluster that tests share: how it is started, and how its parts are killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from surreal.orchestrator.backends.ray.backend import RayBackend
from surreal.orchestrator.run.location import Location
from surreal.orchestrator.run.status import Status

SCRIPT = Path(__file__).parent / "raylets.py"
WORKERS = 2
# Ray's workers are nice to the level of 15: beside other work they would get next to nothing of the cores
OURS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


class SmallCluster:
    """Raylets of one machine, and the backend that uses them."""

    def __init__(self, process: "subprocess.Popen[str]", address: str, home: Path) -> None:
        self.process, self.address, self.home = process, address, home
        self.location = Location.of(f"ray:{address}")
        self.backend = RayBackend(self.location)

    def kill(self, status: Status, role: str, index: int = 0) -> None:
        """End a process of a role by force."""
        os.kill(self.pid(status.name, role, index), signal.SIGKILL)

    def pid(self, name: str, role: str, index: int = 0) -> int:
        """Return the process id of a role's worker, which its host tells a moment after the start."""
        deadline = time.monotonic() + 120
        while not (found := self.backend.status(name).roles[role][index].pid):
            assert time.monotonic() < deadline, f"{role} runs"
            time.sleep(0.1)
        return found

    def left(self, name: str, before: Status) -> list[str]:
        """Return the files and processes of a run that are there."""
        pids = [each.pid for role in before.roles.values() for each in role if each.pid]
        alive = [str(each) for each in pids if psutil.pid_exists(each)]
        return alive + [each for each in self.backend.names() if each == name] + list(map(str, self.home.glob("ray/*")))

    def raylet_of(self, pid: int) -> psutil.Process:
        """Return the raylet above a worker: its host's parent."""
        host = psutil.Process(pid).parent()
        raylet = host.parent() if host else None
        assert raylet and raylet.name() == "raylet", raylet
        return raylet

    def kill_node(self, pid: int) -> list[psutil.Process]:
        """Kill the raylet of a worker as a crash of its node would; return the processes that lived below it."""
        raylet = self.raylet_of(pid)
        below = raylet.children(recursive=True)
        raylet.kill()
        return below

    def add_node(self) -> None:
        """Start one more raylet, of the group of the last one."""
        self.obey("add")

    def add_machine(self) -> None:
        """Start one more raylet, which has file systems of its own as on another machine; only root can."""
        self.obey("elsewhere")

    def renew_gcs(self) -> None:
        """Kill the head's GCS, and start another one in its place."""
        self.obey("gcs")

    def obey(self, line: str) -> None:
        """Have the cluster's process do something; see `raylets`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline())["done"]

    def workers(self) -> int:
        """Return how many nodes with CPUs live."""
        return sum(1 for node in self.backend.cluster().nodes() if node["Resources"].get("CPU"))

    def whole_again(self) -> None:
        """Have as many nodes as at the beginning."""
        deadline = time.monotonic() + 120
        while self.workers() < WORKERS:
            self.add_node()
            while self.workers() < WORKERS and time.monotonic() < deadline:
                time.sleep(0.2)


@contextmanager
def small_cluster(
    workers: int | str = WORKERS, *, home: Path | None = None, port: int | None = None, **environment: str
) -> Iterator[SmallCluster]:
    """Start a cluster, whose nodes all see one SURREAL_HOME, for the block; see `raylets` for `workers`."""
    given, home = home, home or Path(tempfile.mkdtemp(prefix="surreal-test-"))
    with (home / "raylets.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(SCRIPT), str(workers), *([str(port)] if port else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**_plain(), **OURS, "SURREAL_HOME": str(home), **environment},
            start_new_session=True,
        )
        assert process.stdout and process.stdin
        try:
            line = process.stdout.readline()
            assert line, (home / "raylets.log").read_text()
            cluster = SmallCluster(process, json.loads(line)["address"], home)
            yield cluster
            cluster.backend.close()
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.stdin.close()
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
            for each in children:
                _kill(each)
            process.stdout.close()
            if given is None:
                shutil.rmtree(home, ignore_errors=True)


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _plain() -> dict[str, Any]:
    return {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
