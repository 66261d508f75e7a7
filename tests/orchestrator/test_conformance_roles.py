"""What every backend promises of runs with other roles than a learner and its actors, and of runs that change."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from surreal.orchestrator.client import Run
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.inventory import Machines
from surreal.orchestrator.planning import plan_for
from surreal.orchestrator.run.status import OUTCOMES
from surreal.orchestrator.starting_point import StartingPoint
from surreal.orchestrator.sweeps import control
from surreal.orchestrator.sweeps.load import Sweep
from surreal.orchestrator.sweeps.model import SweepDocument
from tests.orchestrator.ray.small_cluster import SmallCluster
from tests.orchestrator.sites import Here, Site, create, pole, when
from tests.orchestrator.test_conformance import ENDLESS, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
SMALL = {"resources": {"cpu": 0.1, "memory": "512Mi"}}


@pytest.fixture(params=["here", "ray"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """This machine, and a Ray cluster on it."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    found: Here | SmallCluster = Here() if request.param == "here" else request.getfixturevalue("ray_cluster")
    yield found
    for name in found.backend.names():
        found.backend.delete(name)


def dqn(name: str, shards: int = 2) -> dict[str, Any]:
    """CartPole from shards of replay."""
    config = {"total_steps": ENDLESS, "hidden": [16], "batch": 32, "replay": {"min_size": 200, "capacity": 10_000}}
    return {
        "apiVersion": "surreal.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "env": {"id": "CartPole-v1"},
            "algorithm": {"name": "dqn", "config": config},
            "roles": {"learner": SMALL, "actor": SMALL, "evaluator": SMALL, "replay": {**SMALL, "replicas": shards}},
            "checkpoints": {"everySeconds": 2.0},
        },
    }


def central(name: str) -> dict[str, Any]:
    """CartPole whose actors ask one policy."""
    data = pole(name, total_steps=ENDLESS, inference="central")
    data["spec"]["roles"]["inference"] = SMALL
    return data


def replaced(site: Site, name: str, role: str, index: int = 0) -> None:
    """Kill a process; it is replaced, and the run goes on."""
    before = running(site, name)
    site.kill(before, role, index)
    when(site, name, f"{role} is replaced", lambda now: now.roles[role][index].restarts)
    after = running(site, name)
    when(site, name, "it learns on", lambda now: now.progress.steps > after.progress.steps)


def test_a_shard_of_replay_that_is_killed_comes_back_and_the_learner_goes_on(site: Site) -> None:
    name = create(site, dqn("shards"))
    replaced(site, name, "replay", 1)
    assert site.backend.status(name).roles["learner"][0].restarts == 0


def test_actors_that_ask_a_policy_elsewhere_go_on_when_it_is_killed(site: Site) -> None:
    name = create(site, central("central"))
    replaced(site, name, "inference")
    assert site.backend.status(name).roles["learner"][0].restarts == 0


def test_a_run_gets_other_numbers_of_processes_and_goes_on_from_its_checkpoint(site: Site) -> None:
    name = create(site, pole("pole", total_steps=ENDLESS))
    before = running(site, name)
    Run(name, site.backend).scale({"actor": 3})
    after = running(site, name)
    assert len(after.roles["actor"]) == 3 and after.progress.steps >= before.progress.steps


def test_a_run_that_is_done_goes_on_for_more_steps(site: Site) -> None:
    name = create(site, pole("pole", total_steps=2_000))
    when(site, name, "it is done", lambda now: now.state == "succeeded")
    Run(name, site.backend).resume(changes=["spec.algorithm.config.total_steps=4000"])
    assert when(site, name, "it is done again", lambda now: now.state == "succeeded").progress.steps >= 4_000


def test_a_run_stops_at_its_limit_and_goes_on_with_a_larger_one(site: Site) -> None:
    data = pole("pole", total_steps=ENDLESS)
    data["spec"]["limits"] = {"hours": 2 / 3600}
    name = create(site, data)
    ended = when(site, name, "it is over", lambda now: now.over)
    assert ended.state == "stopped" and ended.reason.startswith("spec.limits.hours: "), ended.reason
    assert ended.progress.hours and ended.progress.hours >= 2 / 3600
    Run(name, site.backend).resume(changes=["spec.limits.hours=1"])
    on = running(site, name)
    when(site, name, "it learns on", lambda now: now.progress.steps > max(on.progress.steps, ended.progress.steps))


def test_a_run_begins_from_a_checkpoint_of_another(site: Site) -> None:
    name = create(site, pole("pole", total_steps=2_000))
    done = when(site, name, "it is done", lambda now: now.state == "succeeded")
    point = StartingPoint.find(done.folder)
    data = pole("fork", total_steps=4_000)
    experiment = Experiment.from_data(data)
    start = point.prepare(experiment)
    site.backend.create(experiment, plan_for(experiment, Machines(site.location)), start)
    forked = when(site, "fork", "it is done", lambda now: now.over)
    assert forked.state == "succeeded"
    with site.backend.metrics_folder("fork") as metrics:
        first = json.loads((metrics / "metrics.jsonl").read_text().splitlines()[0])
    assert first["steps"] >= point.steps, "its first row is not before the checkpoint"


def test_a_sweep_runs_its_trials_there(site: Site) -> None:
    rates = {"spec.algorithm.config.learning_rate": [1e-3, 3e-4]}
    data = {"metadata": {"name": "grid"}, "spec": {"experiment": "pole.yaml", "grid": rates, "parallel": 2}}
    experiment = Experiment.from_data(pole("pole", total_steps=2_000))
    folder = control.start(Sweep(SweepDocument.model_validate(data), experiment), site.location)
    try:
        deadline = time.monotonic() + 200
        while (found := folder.read()).state not in OUTCOMES:
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        assert found.state == "succeeded" and [trial.state for trial in found.trials] == ["succeeded"] * 2, found
        assert [site.backend.status(run).state for run in site.backend.names()] == ["succeeded"] * 2
    finally:
        control.delete("grid")
    assert site.backend.names() == []
