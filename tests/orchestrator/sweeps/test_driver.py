"""A sweep starts runs while there is room, survives its driver, and ends when all is over or used up."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import surreal
from surreal.orchestrator.backends.base import THIS_MACHINE
from surreal.orchestrator.run.location import LOCAL, Location
from surreal.orchestrator.run.status import Status
from surreal.orchestrator.sweeps import driver as module
from surreal.orchestrator.sweeps.driver import Driver
from surreal.orchestrator.sweeps.folder import Record, SweepFolder
from surreal.orchestrator.sweeps.load import Sweep
from surreal.orchestrator.sweeps.model import SweepDocument
from surreal.protocol.errors import InvalidInput, NotFound, Unreachable
from surreal.protocol.telemetry.gauges import Progress

RATE = "spec.algorithm.config.learning_rate"
GRID: dict[str, Any] = {"grid": {RATE: [1e-4, 3e-4, 1e-3]}}


class Place:
    """A backend whose runs do what a test says."""

    def __init__(self) -> None:
        self.runs: dict[str, Status] = {}
        self.created: list[str] = []
        self.stopped: list[str] = []
        self.resumed: list[str] = []
        self.first = "running"
        self.remote = False
        self.refuse: Callable[[str], Exception | None] = lambda _: None

    def names(self) -> list[str]:
        return list(self.runs)

    def status(self, name: str) -> Status:
        if name not in self.runs:
            raise NotFound(name)
        return self.runs[name]

    def reconcile(self, name: str) -> None:
        pass

    def stop(self, name: str) -> bool:
        self.stopped.append(name)
        self.say(name, "stopped")
        return True

    def resume(self, name: str) -> None:
        self.resumed.append(name)
        self.say(name, "running")

    def say(self, name: str, state: Any, score: float | None = None, steps: int = 0, elapsed: float = 0.0) -> None:
        progress = Progress(steps=steps, eval_return=score, elapsed=elapsed)
        self.runs[name] = Status(name, "local", "", state, progress=progress)


class FakeClient:
    def __init__(self, place: Place, location: Location) -> None:
        self.backend, self.location = place, location
        place.remote = location.backend != LOCAL

    def plan(self, experiment: Any) -> Any:
        return SimpleNamespace(cost=SimpleNamespace(per_hour=2.0))

    def create(self, experiment: Any, plan: Any) -> None:
        if error := self.backend.refuse(experiment.name):
            raise error
        assert experiment.name not in self.backend.runs
        self.backend.created.append(experiment.name)
        self.backend.say(experiment.name, self.backend.first)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    place = Place()
    monkeypatch.setattr(module, "Client", SimpleNamespace(at=lambda location: FakeClient(place, location)))
    return place


def folder(location: Location = THIS_MACHINE, **spec: Any) -> SweepFolder:
    experiment = surreal.Experiment("pole", "CartPole-v1", surreal.PPO(total_steps=1000))
    data = {"metadata": {"name": "lr"}, "spec": {"experiment": "pole.yaml", **spec}}
    return SweepFolder.make(Sweep(SweepDocument.model_validate(data), experiment), location)


def states(found: SweepFolder) -> list[str]:
    return [trial.state for trial in found.read().trials]


def driven(found: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A driver as its process has it: the lock is held."""
    monkeypatch.setattr(SweepFolder, "driven", lambda _: True)
    return Driver(found)


def test_runs_are_started_while_there_is_room_and_the_best_is_known(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = folder(parallel=2, seeds=2, **GRID)
    driver = driven(found, monkeypatch)
    driver.step()
    assert place.created == ["lr-0-s1", "lr-0-s2"]
    place.say("lr-0-s1", "succeeded", 10.0, 1000)
    driver.step()
    assert place.created[2:] == ["lr-1-s1"]
    assert states(found) == ["running", "running"]
    place.say("lr-0-s2", "succeeded", 20.0, 1000)
    place.say("lr-1-s1", "succeeded", 50.0, 1000)
    driver.step()
    place.say("lr-1-s2", "succeeded", 60.0, 1000)
    driver.step()
    for name in ("lr-2-s1", "lr-2-s2"):
        driver.step()
        place.say(name, "succeeded", 0.0, 1000)
    driver.run()
    record = found.read()
    assert (record.state, [trial.score for trial in record.trials]) == ("succeeded", [15.0, 55.0, 0.0])
    assert record.best is not None and record.best.point == {RATE: 3e-4}
    assert len(place.created) == len(set(place.created)) == 6


def test_later_runs_of_a_sweep_have_the_algorithm_of_the_first(place: Place) -> None:
    found = folder(parallel=1, **GRID)
    about = json.loads((found.path / "sweep.json").read_text())
    del about["experiment"]["spec"]["algorithm"]["config"]["value_learning_rate"]
    (found.path / "sweep.json").write_text(json.dumps(about))
    assert found.sweep().experiment.spec.algorithm.config["value_learning_rate"] is None


def test_the_next_driver_goes_on_where_one_was_killed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(parallel=1, **GRID)
    driven(found, monkeypatch).step()
    place.say("lr-0-s1", "succeeded", 1.0, 1000)
    # The driver dies after it has written the next run down and before the run is there.
    second = driven(found, monkeypatch)
    monkeypatch.setattr(second, "_create", lambda *_: False)
    second.step()
    assert place.created == ["lr-0-s1"]
    third = driven(found, monkeypatch)
    third.step()
    assert place.created == ["lr-0-s1", "lr-1-s1"]
    # The machine goes down with the run.
    place.say("lr-1-s1", "failed")
    driven(found, monkeypatch).step()
    assert (place.resumed, states(found)) == (["lr-1-s1"], ["succeeded", "running"])


def test_a_failed_run_fails_its_trial_and_three_at_first_the_sweep(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = folder(parallel=1, grid={RATE: [1e-4, 2e-4, 3e-4, 4e-4]})
    driver = driven(found, monkeypatch)
    for number in range(3):
        driver.step()
        place.say(f"lr-{number}-s1", "failed")
    driver.run()
    record = found.read()
    assert (record.state, states(found)) == ("failed", ["failed"] * 3)
    assert record.reason == "the first 3 trials failed: see surreal logs lr-2-s1"


def test_values_that_do_not_fit_together_fail_their_trial_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(parallel=1, **GRID)
    place.refuse = lambda name: InvalidInput("no such thing") if name == "lr-0-s1" else None
    driver = driven(found, monkeypatch)
    driver.step()
    assert (place.created, states(found)) == (["lr-1-s1"], ["failed", "running"])
    assert found.read().reason == "lr-0-s1: no such thing"


def test_a_place_that_does_not_answer_is_asked_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(parallel=1, **GRID)
    place.refuse = lambda _: Unreachable("away")
    driver = driven(found, monkeypatch)
    driver.step()
    driver.step()
    assert (place.created, states(found)) == ([], ["running"])
    place.refuse = lambda _: None
    driver.step()
    assert place.created == ["lr-0-s1"]


def test_on_a_cluster_the_pools_are_filled_until_a_run_waits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(Location("kube"), **GRID)
    driver = driven(found, monkeypatch)
    place.first = "pending"
    driver.step()
    driver.step()
    assert place.created == ["lr-0-s1"]
    place.first = "running"
    place.say("lr-0-s1", "running")
    driver.step()
    assert place.created == ["lr-0-s1", "lr-1-s1", "lr-2-s1"]


@pytest.mark.parametrize(
    ("budget", "reason"), [({"steps": 500}, "steps: 500"), ({"hours": 1}, "hours: 1"), ({"cost": 2}, "cost: 2")]
)
def test_a_used_up_budget_ends_the_sweep(
    place: Place, monkeypatch: pytest.MonkeyPatch, budget: dict[str, Any], reason: str
) -> None:
    found = folder(parallel=2, budget=budget, **GRID)
    driver = driven(found, monkeypatch)
    driver.step()
    place.say("lr-0-s1", "running", 1.0, 300, 1000.0)
    driver.step()
    assert found.read().state == "running"
    place.say("lr-1-s1", "running", 1.0, 300, 2700.0)
    driver.run()
    assert (found.read().reason, sorted(place.stopped)) == (
        f"spec.budget.{reason} is used up",
        ["lr-0-s1", "lr-1-s1"],
    )


def test_a_run_that_a_user_stops_ends_its_trial(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(parallel=1, **GRID)
    driver = driven(found, monkeypatch)
    driver.step()
    place.say("lr-0-s1", "stopped")
    driver.step()
    assert (place.resumed, states(found)) == ([], ["stopped", "running"])


def test_a_hopeless_trial_is_pruned_beside_the_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder(parallel=1, grid={RATE: [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4]}, pruner="median")
    driver = driven(found, monkeypatch)
    for number in range(5):
        driver.step()
        place.say(f"lr-{number}-s1", "running", 100.0 + number, 600)
        driver.step()
        place.say(f"lr-{number}-s1", "succeeded", 100.0 + number, 1000)
    driver.step()
    place.say("lr-5-s1", "running", 1.0, 600)
    driver.run()
    assert (found.read().state, states(found)) == ("succeeded", ["succeeded"] * 5 + ["pruned"])
    assert place.stopped == ["lr-5-s1"]


def test_a_sweep_whose_driver_is_gone_says_how_to_go_on(place: Place) -> None:
    found = folder(**GRID)
    assert found.read() == Record("stopped", "its driver is gone; surreal resume lr goes on")
