"""A real cluster whose raylets and drivers die under running trainings."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from surreal.orchestrator.backends.ray.backend import RayBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.status import Status
from surreal.protocol.errors import InvalidInput, SurrealError
from tests.cli.terminal import SURREAL
from tests.orchestrator.ray.small_cluster import SmallCluster
from tests.orchestrator.sites import create, pole, when
from tests.orchestrator.test_conformance import ENDLESS, running
from tests.orchestrator.test_conformance_roles import dqn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def cluster(ray_cluster: SmallCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallCluster]:
    """The cluster with all its nodes, and no run."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    ray_cluster.whole_again()
    yield ray_cluster
    for name in ray_cluster.backend.names():
        ray_cluster.backend.delete(name)


def apart(data: dict[str, Any], ends: str, others: str) -> dict[str, Any]:
    """The experiment with so large processes that no node holds those of both roles."""
    roles = data["spec"]["roles"]
    for role, cpu in ((ends, 3), (others, 2)):
        # roles of one experiment may share the mapping
        roles[role] = {**roles[role], "resources": {**roles[role]["resources"], "cpu": cpu}}
    return data


def es(name: str) -> dict[str, Any]:
    """Evolution strategies on CartPole with two workers."""
    asked = {role: {"resources": {"cpu": 0.1, "memory": "256Mi"}} for role in ("master", "worker")}
    return {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "env": {"id": "CartPole-v1"},
            "algorithm": {"name": "es", "config": {"total_steps": ENDLESS}},
            "roles": {**asked, "worker": {**asked["worker"], "replicas": 2}},
            "checkpoints": {"everySeconds": 1.0},
        },
    }


def gone(processes: list[psutil.Process]) -> bool:
    return not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def kill_node_of(cluster: SmallCluster, name: str, role: str) -> tuple[Status, list[psutil.Process]]:
    """Kill the raylet of a role's first process; the status before, and what lived below it."""
    before = running(cluster, name)
    pid = cluster.pid(name, role)
    below = cluster.kill_node(pid)
    assert pid in [each.pid for each in below]
    return before, below


def saved(cluster: SmallCluster, name: str) -> list[Path]:
    """The checkpoints that are whole."""
    return list(cluster.home.glob(f"ray/{name}/checkpoints/step-*/manifest.json"))


def sentences(cluster: SmallCluster, name: str) -> str:
    return "\n".join(line.text for line in cluster.backend.logs(name, "supervisor"))


def test_a_node_that_dies_costs_its_own_actors_only_and_no_child_outlives_it(cluster: SmallCluster) -> None:
    name = create(cluster, apart(pole("pole", total_steps=ENDLESS), "learner", "actor"))
    before, below = kill_node_of(cluster, name, "actor")
    when(cluster, name, "all that lived there is gone", lambda _: gone(below))
    cluster.add_node()
    actors = len(before.roles["actor"])
    when(
        cluster,
        name,
        "the actors are elsewhere",
        lambda now: [each.restarts for each in now.roles["actor"]] == [1] * actors,
    )
    after = running(cluster, name)
    when(cluster, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)
    assert after.roles["learner"] == before.roles["learner"]
    assert "actor/0: its node" in sentences(cluster, name) and "killed (signal" not in sentences(cluster, name)


def test_a_learner_whose_node_dies_comes_back_from_its_checkpoint_and_its_actors_find_it(cluster: SmallCluster) -> None:
    name = create(cluster, apart(pole("pole", total_steps=ENDLESS), "learner", "actor"))
    when(cluster, name, "a checkpoint", lambda _: saved(cluster, name))
    before, _ = kill_node_of(cluster, name, "learner")
    known = max(int(path.parent.name.removeprefix("step-")) for path in saved(cluster, name))
    rows = cluster.home / "ray" / name / "metrics" / "metrics.jsonl"
    written = len(rows.read_text().splitlines())
    cluster.add_node()
    when(cluster, name, "the learner is elsewhere", lambda now: now.roles["learner"][0].restarts == 1)
    after = running(cluster, name)
    when(
        cluster, name, "it learns on", lambda now: now.progress.steps > max(before.progress.steps, after.progress.steps)
    )
    assert after.roles["learner"][0].node != before.roles["learner"][0].node
    assert "processes that dial it restart, uncounted" in sentences(cluster, name)
    steps = [json.loads(row)["steps"] for row in rows.read_text().splitlines()[written:]]
    assert steps and min(steps) >= known, "it goes on from its checkpoint, not from step 0"


@pytest.mark.parametrize(
    ("made", "role", "said"),
    [
        (lambda: apart(es("run"), "master", "worker"), "worker", "only its unfinished work is lost"),
        (
            lambda: apart(dqn("run", shards=1), "learner", "replay"),
            "replay",
            "processes that dial it restart, uncounted",
        ),
    ],
    ids=["worker of evolution strategies", "shard of replay"],
)
def test_other_algorithms_survive_a_node_too(cluster: SmallCluster, made: Any, role: str, said: str) -> None:
    name = create(cluster, made())
    _, below = kill_node_of(cluster, name, role)
    cluster.add_node()
    when(cluster, name, "all that lived there is gone", lambda _: gone(below))
    when(cluster, name, "they are elsewhere", lambda now: all(each.restarts for each in now.roles[role]))
    after = running(cluster, name)
    when(cluster, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)
    assert said in sentences(cluster, name)


def test_a_master_whose_node_dies_comes_back_from_its_checkpoint(cluster: SmallCluster) -> None:
    name = create(cluster, apart(es("es"), "master", "worker"))
    when(cluster, name, "a checkpoint", lambda _: saved(cluster, name))
    before, _ = kill_node_of(cluster, name, "master")
    cluster.add_node()
    when(cluster, name, "the master is elsewhere", lambda now: now.roles["master"][0].restarts == 1)
    when(
        cluster, name, "it learns on", lambda now: now.state == "running" and now.progress.steps > before.progress.steps
    )


def test_a_worker_that_ray_believes_dead_and_that_still_sends_is_refused(cluster: SmallCluster) -> None:
    """A raylet that stands still is a dead node for Ray, and its worker sends on beside the one that took its place."""
    name = create(cluster, apart(pole("pole", total_steps=ENDLESS), "learner", "actor"))
    running(cluster, name)
    old = psutil.Process(cluster.pid(name, "actor"))
    raylet = cluster.raylet_of(old.pid)
    raylet.suspend()
    try:
        cluster.add_node()
        when(cluster, name, "the actor is elsewhere", lambda now: _replaced(now, old.pid))
        running(cluster, name)
        assert old.is_running() and old.status() != psutil.STATUS_ZOMBIE, "the first one lives on"

        def turned_away(now: Status) -> bool:
            # Its beat is refused within a second, mostly before its next fragment is.
            told = "\n".join(line.text for line in cluster.backend.logs(name, "learner"))
            return refused(now, "experience") > 0 or "actor/0 incarnation 1 was replaced" in told

        when(cluster, name, "it is refused", turned_away)
        when(cluster, name, "it ends, told that another took its place", lambda _: gone([old]))
    finally:
        raylet.resume()
    after = cluster.backend.status(name)
    when(cluster, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)


def _replaced(now: Status, pid: int) -> bool:
    actor = now.roles["actor"][0]
    return actor.restarts == 1 and actor.pid not in (None, pid)


def refused(now: Status, channel: str) -> int:
    """The packets that the receivers of a channel refused."""
    return sum(end.refused or 0 for each in now.channels if each.name == channel for end in each.ends)


def test_a_command_beside_a_worker_does_not_outlive_its_host(cluster: SmallCluster) -> None:
    name = create(cluster, pole("pole", total_steps=ENDLESS))
    running(cluster, name)
    worker = psutil.Process(cluster.pid(name, "actor"))
    host = worker.parent()
    assert host
    command = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '3600'])"]
    other = RayBackend(cluster.location)
    thread = threading.Thread(target=lambda: suppress_all(lambda: other.execute(name, "actor/0", command, False)))
    thread.start()

    def asleep() -> list[psutil.Process]:
        return [each for each in host.children(recursive=True) if each.name() == "sleep"]

    when(cluster, name, "the command runs", lambda _: asleep())
    sleeper = asleep()
    host.kill()
    when(cluster, name, "what it started is gone", lambda _: gone([worker, *sleeper]))
    thread.join()


def suppress_all(call: Any) -> None:
    """Call, and let any error be."""
    with suppress(Exception):
        call()


@pytest.mark.parametrize("made", [lambda: pole("pole", total_steps=ENDLESS), lambda: es("pole")], ids=["ppo", "es"])
def test_a_killed_driver_leaves_the_run_which_another_finds(cluster: SmallCluster, tmp_path: Path, made: Any) -> None:
    file = tmp_path / "pole.yaml"
    file.write_text(yaml.safe_dump(made()))
    on = ["--on", cluster.location.on]
    driver = subprocess.Popen([*SURREAL, "create", str(file), *on], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert driver.stdout
    with driver.stdout:
        before = when_there(cluster, "pole")
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    when(cluster, "pole", "it learns on", lambda now: now.progress.steps > before.progress.steps)
    # another machine has no note of the run: --on is enough
    other = {**os.environ, "SURREAL_HOME": str(tmp_path / "elsewhere")}
    answer = subprocess.run([*SURREAL, "status", "pole", *on, "-o", "json"], capture_output=True, text=True, env=other)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["state"] == "running"


def when_there(cluster: SmallCluster, name: str) -> Status:
    """The status of a run that another process is creating, once it trains."""
    deadline = time.monotonic() + 120
    while name not in cluster.backend.names():
        assert time.monotonic() < deadline, f"{name} is never created"
        time.sleep(0.2)
    return running(cluster, name)


def test_a_host_that_is_killed_takes_its_worker_along_and_counts_as_a_crash(cluster: SmallCluster) -> None:
    name = create(cluster, pole("pole", total_steps=ENDLESS))
    running(cluster, name)
    worker = psutil.Process(cluster.pid(name, "actor"))
    host = worker.parent()
    assert host and host.name().startswith("ray::Host")
    host.kill()
    when(cluster, name, "the worker is gone", lambda _: gone([worker]))
    when(cluster, name, "it is replaced", lambda now: now.roles["actor"][0].restarts == 1)
    assert "actor/0 killed (signal 9): its Ray actor ended" in sentences(cluster, name)


def test_a_killed_supervisor_is_started_again_and_goes_on_from_the_checkpoint(cluster: SmallCluster) -> None:
    name = create(cluster, pole("pole", total_steps=ENDLESS))
    when(cluster, name, "a checkpoint", lambda _: saved(cluster, name))
    before = running(cluster, name)
    workers = [psutil.Process(cluster.pid(name, role)) for role in before.roles]
    supervisor = [each for each in psutil.process_iter(["name"]) if each.info["name"].startswith("ray::Supervisor")]
    mine = [each for each in supervisor if each.environ().get("SURREAL_HOME") == str(cluster.home)]
    assert len(mine) == 1
    mine[0].kill()
    deadline = time.monotonic() + 120
    while not gone(workers):
        assert time.monotonic() < deadline, "workers outlive their supervisor"
        time.sleep(0.1)
    after = again(cluster, name)
    when(cluster, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)
    assert after.progress.steps > 0 and "the supervisor was started again" in sentences(cluster, name)


def again(cluster: SmallCluster, name: str) -> Status:
    """The status once a supervisor that Ray starts anew answers."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return running(cluster, name)
        except SurrealError as error:
            assert time.monotonic() < deadline, error
            time.sleep(0.5)


def test_commands_beside_a_worker_usage_and_metrics(cluster: SmallCluster, capfdbinary: Any) -> None:
    name = create(cluster, pole("pole", total_steps=ENDLESS))
    running(cluster, name)
    code = cluster.backend.execute(
        name, "actor/1", [sys.executable, "-c", "import os; print(os.getcwd()); exit(7)"], False
    )
    assert code == 7 and b"surreal-ray-" in capfdbinary.readouterr().out
    with pytest.raises(InvalidInput, match="Ray forwards no ports"):
        cluster.backend.forward(name, "learner", 0, 9400, lambda _: None)
    used = cluster.backend.usage(name)
    assert all(each.used.memory for role in used.roles for each in role.processes)
    with cluster.backend.metrics_folder(name) as folder:
        assert (folder / "metrics.jsonl").stat().st_size > 0


def test_a_process_that_waits_says_for_what(cluster: SmallCluster) -> None:
    data = pole("big", total_steps=ENDLESS)
    data["spec"]["roles"]["actor"] |= {"replicas": 3, "resources": {"cpu": 2, "memory": "64Mi"}}
    name = create(cluster, data)
    first = running(cluster, name)
    other = pole("late", total_steps=ENDLESS)
    other["spec"]["roles"]["actor"] |= {"replicas": 2, "resources": {"cpu": 2, "memory": "64Mi"}}
    create(cluster, other)
    waits = when(cluster, "late", "it says what it waits for", lambda now: "for 2 CPU, 64Mi memory" in now.reason)
    assert "on one node; free in the cluster:" in waits.reason and first.state == "running"
    cluster.backend.delete(name)
    running(cluster, "late")


def test_code_of_ones_own_goes_along(cluster: SmallCluster, tmp_path: Path) -> None:
    (tmp_path / "my_env.py").write_text(
        "import gymnasium\n\n\ndef make() -> gymnasium.Env:\n    return gymnasium.make('CartPole-v1').unwrapped\n"
    )
    data = pole("own", total_steps=ENDLESS)
    data["spec"] |= {"env": {"id": "my_env:make"}, "code": "."}
    experiment = Experiment.from_data(data, folder=tmp_path)
    cluster.backend.create(experiment, plan_for(experiment, Machines(cluster.location)))
    assert when(cluster, "own", "it steps", lambda now: now.progress.steps or now.over).state == "running"
