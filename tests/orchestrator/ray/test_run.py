"""A run as its supervisor conducts it, with a Ray that only takes notes: nothing is started."""

import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from surreal.orchestrator.backends.ray.actors.hosts import Hosts, Materials
from surreal.orchestrator.backends.ray.actors.process import RemoteProcess
from surreal.orchestrator.backends.ray.actors.run import BEGIN_SECONDS, LOOK_SECONDS, MANY, RayRun
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.run.home import Folder
from surreal.orchestrator.run.wiring import CONTROL
from surreal.orchestrator.supervision.record import RunRecord, processes_of
from tests.orchestrator.runs import plan

DUE = 1.0
"""Monotonic seconds that are long over."""
NODES: list[dict[str, Any]] = [
    {"NodeID": name, "Alive": True, "Resources": {}, "NodeManagerAddress": "10.0.0.1"} for name in ("n1", "n2")
]


class FakeHost:
    """Remembers what it is asked for; each answer comes when the test gives it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[str, Future[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def remote(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            answer = self.answers[name] = Future()
            return SimpleNamespace(future=lambda: answer)

        return SimpleNamespace(remote=remote)


class Conducted(RayRun):
    """A run whose hosts are fakes, by the names of their processes."""

    def __init__(self, folder: Folder, planned: Plan) -> None:
        super().__init__(
            SimpleNamespace(nodes=lambda: NODES, kill=lambda _: None),
            None,
            folder,
            planned,
            Materials({role.name: f"key of {role.name}" for role in planned.roles}),
        )
        self.fakes: dict[str, FakeHost] = {}
        self.hosts = Hosts(self.ray, None, planned, self.hosts.materials, self.nodes)
        self.hosts.make = self._made  # type: ignore[method-assign]
        for each in self.processes:
            each.start_at = DUE

    def _made(self, process: RemoteProcess) -> FakeHost:
        return self.fakes.setdefault(process.name, FakeHost())

    def land(self, name: str, machine: str = "here") -> None:
        """Have a host land, and the run handle it."""
        ports = {"experience": 1, "metrics": 2, CONTROL: 3} if name == "learner/0" else {}
        place = {"ip": "10.0.0.1", "node": "n1", "ports": ports, "shared": True}
        self.fakes[name].answers["land"].set_result({**place, "machine": machine, "sockets": f"/tmp/{name[0]}"})
        self.wait()
        self.step()


@pytest.fixture
def run(tmp_path: Path) -> Conducted:
    """A run of a learner, two actors and an evaluator, all of which are due."""
    return conducted(tmp_path, {"evaluator": {"evaluates": True}})


@pytest.fixture
def many(tmp_path: Path) -> Conducted:
    """The same with more actors than start before all hosts have landed."""
    return conducted(tmp_path, {"evaluator": {"evaluates": True}, "actor": {"replicas": MANY + 1}})


def conducted(path: Path, changes: dict[str, dict[str, Any]]) -> Conducted:
    """The toy run with these changes of its roles."""
    planned = plan()
    roles = tuple(role.model_copy(update=changes.get(role.name, {})) for role in planned.roles)
    planned = planned.model_copy(update={"roles": roles})
    folder = Folder(path / "toy")
    folder.make()
    RunRecord(processes=processes_of(planned)).write(folder)
    return Conducted(folder, planned)


def test_evaluators_ask_for_a_place_when_the_others_make_steps(run: Conducted) -> None:
    run.step()
    assert set(run.fakes) == {"learner/0", "actor/0", "actor/1"}
    for name in list(run.fakes):
        run.land(name)
    evaluator = next(each for each in run.processes if each.role.evaluates)
    assert evaluator.start_at and "evaluator/0" not in run.fakes, "put off, not given up"
    (run.folder.path / "progress.json").write_text('{"steps": 1}')
    evaluator.start_at = DUE
    run.step()
    assert "evaluator/0" in run.fakes


def test_evaluators_do_not_wait_for_ever(run: Conducted) -> None:
    run.began -= BEGIN_SECONDS
    run.step()
    assert "evaluator/0" in run.fakes


def test_a_process_that_lands_on_another_machine_has_all_others_change_to_tcp_with_keys(run: Conducted) -> None:
    run.step()
    run.land("learner/0")
    run.land("actor/0")
    learner, actor = run.fakes["learner/0"], run.fakes["actor/0"]
    (order,) = learner.asked[-1][1]
    assert order["keys"] == "" and order["wiring"]["control"] == "ipc:///tmp/l/.control"
    run.land("actor/1", machine="there")
    assert learner.asked[-1][0] == actor.asked[-1][0] == "signal", "they are told by a restart"
    learner.answers["run"].set_result({"code": -15, "record": "", "output": b"", "hung": ""})
    run.wait()
    run.step()
    restarted = next(each for each in run.processes if each.role.ends_run)
    assert restarted.record.restarts == 0 and restarted.start_at is not None, "uncounted, and started again"
    restarted.start_at = DUE
    run.step()
    (order,) = learner.asked[-1][1]
    assert order["keys"] == "key of learner" and order["wiring"]["control"] == "tcp://10.0.0.1:3"


def test_no_process_of_a_large_role_starts_while_hosts_land(many: Conducted) -> None:
    many.step()
    for name in ("learner/0", *(f"actor/{index}" for index in range(MANY))):
        many.land(name)
    assert started(many) == {"learner/0"}, "those at work would take the cores from the hosts that start"
    many.land(f"actor/{MANY}")
    assert len(started(many)) == 1 + many.plan.role("actor").replicas


def test_a_large_role_does_not_wait_for_hosts_that_find_no_place(many: Conducted) -> None:
    many.step()
    many.land("learner/0")
    many.land("actor/0")
    many.landed -= BEGIN_SECONDS
    many.step()
    assert started(many) == {"learner/0", "actor/0"}


def test_what_waits_for_an_answer_does_not_keep_the_supervisor_busy(many: Conducted) -> None:
    many.step()
    many.land("actor/0")
    began = time.monotonic()
    many.wait()
    assert time.monotonic() - began > LOOK_SECONDS / 2


def started(run: Conducted) -> set[str]:
    """The processes whose hosts were told to start them."""
    return {name for name, fake in run.fakes.items() if "run" in fake.answers}
