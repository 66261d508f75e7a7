"""Real runs of the toy algorithm of `roles.py` on the local backend."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from surreal.orchestrator.backends.local.backend import LocalBackend
from surreal.orchestrator.experiment.experiment import Experiment
from surreal.orchestrator.plan.model import Checkpoints, Plan, PlannedChannel, PlannedRole, Resources
from surreal.orchestrator.run.status import ProcessStatus, Status
from tests.orchestrator.documents import minimal

HERE = Path(__file__).parent


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalBackend]:
    """The local backend with a home of its own; every run is deleted at the end."""
    monkeypatch.setenv("SURREAL_HOME", str(tmp_path / "home"))
    place = LocalBackend()
    yield place
    for name in place.names():
        place.delete(name)


def plan(name: str = "toy", learner: str = "learner", actor: str = "actor", evaluator: str = "actor") -> Plan:
    """One learner, two actors that feed it, one evaluator that only sends telemetry; `roles.py` has the functions."""

    def role(name: str, function: str, replicas: int, ends_run: bool) -> PlannedRole:
        run = f"roles:{function}"
        small = Resources(cpu=0.1, memory=2**20)
        return PlannedRole(
            name=name,
            run=run,
            replicas=replicas,
            resources=small,
            pool="local",
            expendable=not ends_run,
            ends_run=ends_run,
            env={"WHO": name},
        )

    def stream(name: str, frm: tuple[str, ...], lossy: bool) -> PlannedChannel:
        return PlannedChannel(name, "stream", frm, ("learner",), window=4, lossy=lossy)

    return Plan(
        name=name,
        algorithm="toy",
        env={"id": "none", "copies": 1, "options": {}},
        config={},
        seed=1,
        checkpoints=Checkpoints(every_seconds=60.0, keep=3),
        roles=(
            role("actor", actor, 2, ends_run=False),
            role("learner", learner, 1, ends_run=True),
            role("evaluator", evaluator, 1, ends_run=False),
        ),
        channels=(
            stream("experience", ("actor",), lossy=False),
            stream("metrics", ("actor", "evaluator"), lossy=True),
        ),
    )


def create(place: LocalBackend, planned: Plan | None = None) -> str:
    """Start a run; its name."""
    planned = planned or plan()
    data = minimal()
    data["metadata"]["name"] = planned.name
    place.create(Experiment.from_data(data, folder=HERE), planned)
    return planned.name


def finish(place: LocalBackend, name: str) -> None:
    """Let the learner be done."""
    (Path(place.status(name).folder) / "finish").touch()


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait for something that must happen; the seconds only bound a failure."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def ended(place: LocalBackend, name: str) -> Status:
    """The status once the run is over."""
    until(lambda: place.status(name).over, f"{name} is over")
    return place.status(name)


def process(place: LocalBackend, name: str, role: str, index: int = 0) -> ProcessStatus:
    """One process of the run."""
    return place.status(name).roles[role][index]


def pid(place: LocalBackend, name: str, role: str, index: int = 0) -> int:
    """The pid of one process, once it runs and the learner has taken its first steps."""
    until(
        lambda: place.status(name).progress.steps and process(place, name, role, index).pid,
        f"{role}/{index} of {name} runs",
    )
    found = process(place, name, role, index).pid
    assert found
    return found


def begun(place: LocalBackend, name: str, source: str, times: int = 1) -> None:
    """Wait until the functions of these processes have been called so often."""
    sources = {source} if "/" in source else {f"{source}/{each.index}" for each in place.status(name).roles[source]}

    def count(process: str) -> int:
        return sum("begins" in line.text for line in place.logs(name, process))

    until(lambda: all(count(process) >= times for process in sources), f"{source} begins {times} times")


def is_dead(pid: int) -> bool:
    """Is it gone, or a zombie that only its parent could remove?"""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def events(place: LocalBackend, name: str) -> str:
    """All the supervisor has said."""
    return "\n".join(line.text for line in place.logs(name, "supervisor"))


def pids(place: LocalBackend, name: str) -> list[int]:
    """Of all processes that run now."""
    return [each.pid for role in place.status(name).roles.values() for each in role if each.pid]
