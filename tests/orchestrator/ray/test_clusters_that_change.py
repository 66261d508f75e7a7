"""Clusters that grow under a run, lose their GCS, go away and come back."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from surreal.orchestrator.backends.ray.backend import RayBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.protocol.errors import NotFound, SurrealError, Unreachable
from tests.orchestrator.ray.small_cluster import SmallCluster, small_cluster
from tests.orchestrator.sites import create, pole, when
from tests.orchestrator.test_conformance import ENDLESS, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_learners_that_find_no_room_now_start_together_once_the_cluster_has_grown() -> None:
    data = pole("pole", total_steps=ENDLESS)
    data["spec"]["roles"]["learner"] |= {"replicas": 2, "resources": {"cpu": 3, "memory": "64Mi"}}
    with small_cluster("grows") as cluster:
        plan = plan_for(Experiment.from_data(data), Machines(cluster.location))
        (pool,) = plan.pools
        assert (pool.name, pool.now, pool.full) == ("grows", 1, 2), "one machine is to be added"
        name = create(cluster, data)
        waits = when(cluster, name, "it says what it waits for", lambda now: "that start at once" in now.reason)
        assert (
            "waits for 3 CPU, 64Mi memory on one node, for 2 that start at once; free in the cluster:" in waits.reason
        )
        assert [each.state for each in waits.roles["learner"]] == ["pending"] * 2, "all of them, or none"
        cluster.add_node()
        assert [each.restarts for each in running(cluster, name).roles["learner"]] == [0, 0]
        cluster.backend.delete(name)


def control(cluster: SmallCluster, name: str) -> str:
    """The address of the learner's control port."""
    wiring: str = json.loads(Path(psutil.Process(cluster.pid(name, "learner")).cmdline()[-1]).read_text())["control"]
    return wiring


@pytest.mark.skipif(
    not (sys.platform == "linux" and os.geteuid() == 0), reason="only root can have file systems of its own"
)
def test_a_process_that_lands_on_another_machine_has_the_run_go_over_to_tcp() -> None:
    data = pole("pole", total_steps=ENDLESS)
    data["spec"]["roles"]["learner"]["resources"]["cpu"] = 3
    data["spec"]["roles"]["actor"] |= {"replicas": 1, "resources": {"cpu": 2, "memory": "64Mi"}}
    with small_cluster("grows") as cluster:
        name = create(cluster, data)
        assert control(cluster, name).startswith("ipc://"), "all nodes are one machine"
        cluster.add_machine()
        running(cluster, name)
        assert control(cluster, name).startswith("tcp://")
        said = "\n".join(line.text for line in cluster.backend.logs(name, "supervisor"))
        assert "dial it restart, uncounted" in said
        cluster.backend.delete(name)


def saved(cluster: SmallCluster, name: str) -> list[Path]:
    return list(cluster.home.glob(f"ray/{name}/checkpoints/step-*/manifest.json"))


def test_a_cluster_that_went_away_and_came_back_goes_on_with_the_run(tmp_path: Path) -> None:
    home, port = tmp_path / "shared", free_port()
    home.mkdir()
    with small_cluster(1, home=home, port=port) as cluster:
        name = create(cluster, pole("pole", total_steps=ENDLESS))
        when(cluster, name, "a checkpoint", lambda _: saved(cluster, name))
        before = running(cluster, name)
    known = max(int(path.parent.name.removeprefix("step-")) for path in saved(cluster, name))
    with pytest.raises(Unreachable, match="no Ray answers there"):
        RayBackend(cluster.location).status(name)
    with small_cluster(1, home=home, port=port) as again:
        with pytest.raises(NotFound, match="surreal resume pole goes on in the folder that its head kept"):
            again.backend.status(name)
        again.backend.resume(name)
        after = running(again, name)
        assert after.progress.steps >= known and before.progress.steps
        again.backend.delete(name)
        assert not (home / "ray" / name).exists()


@contextmanager
def redis() -> Iterator[str]:
    """A Redis on a port of this machine; its address."""
    program, port = shutil.which("redis-server"), free_port()
    if not program:
        pytest.skip("GCS fault tolerance needs a Redis: apt-get install redis-server")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 120
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def test_a_gcs_that_is_killed_and_started_again_costs_the_run_nothing() -> None:
    with redis() as address, small_cluster(1, RAY_REDIS_ADDRESS=address) as cluster:
        name = create(cluster, pole("pole", total_steps=ENDLESS))
        before = running(cluster, name)
        cluster.renew_gcs()
        deadline = time.monotonic() + 120
        while True:
            try:
                after = cluster.backend.status(name)
                break
            except SurrealError as error:
                assert time.monotonic() < deadline, error
                time.sleep(0.5)
        assert after.roles == before.roles, "the same processes run"
        when(cluster, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)
        cluster.backend.delete(name)


def test_a_head_whose_home_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with small_cluster(1, SURREAL_HOME=os.fspath(tmp_path / "file")) as cluster:
        with pytest.raises(SurrealError, match="Not a directory, on the cluster's head. Nothing was started"):
            create(cluster, pole("pole", total_steps=ENDLESS))
        assert cluster.backend.names() == []
