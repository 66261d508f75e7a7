"""Figures of docs/profile.md: what a profile costs, how exact it is, where time goes, how far predictions are off.

    python benchmarks verbs.profiles cost --runs 3 --seconds 5   each case: not profiled, profiled, and so on in one run
    python benchmarks verbs.profiles share --seconds 6           where the time of each case goes, of actors and learner
    python benchmarks verbs.profiles predict --seconds 15        ten runs that no calibration was made from
    python benchmarks verbs.profiles ship --seconds 20           the calibrations of the examples that come with surreal
    python benchmarks verbs.profiles off                         nanoseconds of an operation without a profile

Each prints one JSON line for each figure. It needs a machine with nothing else on it.
"""

import argparse
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median, pstdev
from timeit import repeat
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

from learning.ending import own_home
from surreal.algorithms.algorithm import Flow
from surreal.orchestrator.autoscaling.signs import TAIL_BYTES, newest_row
from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import SHIPPED, Found
from surreal.orchestrator.prediction.measure import calibrate, endless
from surreal.orchestrator.prediction.predict import flow_of, predict
from surreal.orchestrator.profiling.advice import bounding_role
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.profiling.take import profile_run
from surreal.orchestrator.profiling.timelines import Timeline
from surreal.orchestrator.run.home import Folder, tail_lines
from surreal.protocol.profiling.spans import operation

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = {
    "PPO/CartPole": ("cartpole-ppo.yaml", ()),
    "PPO/HalfCheetah": ("cheetah-ppo.yaml", ()),
    "DDPG/Pendulum": ("pendulum-ddpg.yaml", ("spec.algorithm.config.replay.capacity=100_000",)),
    "ES/HalfCheetah": ("cheetah-es.yaml", ()),
    "SAC/HalfCheetah": ("cheetah-sac.yaml", ()),
    "TD3/HalfCheetah": ("cheetah-td3.yaml", ()),
}
PREDICTED = [
    *(("cartpole-ppo.yaml", actors) for actors in (2, 8)),
    *(("cheetah-ppo.yaml", actors) for actors in (2, 3, 8)),
    *(("hopper-ppo.yaml", actors) for actors in (2, 8)),
    *(("pendulum-ddpg.yaml", actors) for actors in (2, 3, 8)),
]
"""Runs of other sizes than those of a calibration."""
SHIPPED_FOR = [
    *("cartpole-ppo.yaml", "cheetah-ppo.yaml", "hopper-ppo.yaml", "cartpole-impala.yaml", "cartpole-dqn.yaml"),
    *("pendulum-ddpg.yaml", "cheetah-td3.yaml", "cheetah-sac.yaml", "cheetah-es.yaml", "swimmer-ars.yaml"),
]
WARM_UP_S = 5.0
BEGIN_S = 3.0
"""Time until all processes of a run have begun with a profile, before a window is measured."""


@contextmanager
def running(file: str, changes: Sequence[str] = ()) -> Iterator[tuple[Run, Plan]]:
    """A run of an example that does not end by itself, once it makes updates."""
    client, path = Client(), EXAMPLES / file
    config = client.plan(load_experiment(path, changes)).config
    named = (*changes, *endless(config), f"metadata.name=profile-{secrets.token_hex(3)}")
    experiment = load_experiment(path, named)
    plan = client.plan(experiment)
    run = client.create(experiment, plan)
    try:
        while not run.status().progress.updates:
            time.sleep(0.5)
        time.sleep(WARM_UP_S)
        yield run, plan
    finally:
        run.delete()


@dataclass(frozen=True)
class Window:
    """Some seconds of a run."""

    steps_per_second: float
    cpu: float
    """Seconds of CPU of all processes for each step."""


class Meter:
    """Windows of one run, each from one row of metrics of the role that ends it to another."""

    def __init__(self, run: Run) -> None:
        folder = Folder(Path(run.status().folder))
        self._metrics, self._roles = folder.metrics_jsonl, ("learner", "master")
        self._pids = [each.pid for role in run.status().roles.values() for each in role if each.pid]

    def window(self, seconds: float, after: float = 0.0) -> Window:
        """Measure for so many seconds, up to the row that follows."""
        time.sleep(after)
        first, used = self._row(), self._cpu()
        time.sleep(seconds)
        last, spent = self._row(), self._cpu()
        steps = last["steps"] - first["steps"]
        return Window(steps / (last["elapsed"] - first["elapsed"]), (spent - used) / steps)

    def _row(self) -> dict[str, Any]:
        """Return the next row, as soon as it is there."""
        before = self._newest()
        while (row := self._newest()) == before:
            time.sleep(0.01)
        return row

    def _newest(self) -> dict[str, Any]:
        rows = [newest_row(tail_lines(self._metrics, TAIL_BYTES), role) for role in self._roles]
        return next((row for row in rows if "elapsed" in row), {})

    def _cpu(self) -> float:
        """Return the seconds of CPU that all processes have used."""
        tasks = [task for pid in self._pids for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def cost(case: str, seconds: float, pairs: int = 3) -> dict[str, Any]:
    """One run, profiled every other window: by how much it is slower then, and how far the corrected time is off."""
    file, changes = CASES[case]
    with running(file, changes) as (run, plan), tempfile.TemporaryDirectory() as folder:
        meter = Meter(run)
        plain, attached, profiles = [meter.window(seconds)], list[Window](), list[Profile]()
        for _ in range(pairs):
            with ThreadPoolExecutor() as pool:
                measured = pool.submit(meter.window, seconds, BEGIN_S)
                # The report takes a core, so it is made after the window, which ends with a row.
                profiles.append(profile_run(run, seconds + BEGIN_S + 8, Path(folder), lambda _: None))
                attached.append(measured.result())
            plain.append(meter.window(seconds))
        flow = flow_of(plan)
        assert flow is not None
        profile = profiles[-1]
        bounding = [each.roles[bounding_role(each.roles) or flow.learner] for each in profiles]
        left = median(each.corrected / each.wall for each in bounding)
        sums = [abs(sum(each.seconds.values()) / each.wall - 1) for each in profile.processes]
        truth = median(each.steps_per_second for each in plain)
        slower = truth / median(each.steps_per_second for each in attached)
        cpu = median(each.cpu for each in attached) / median(each.cpu for each in plain)
        return {
            "case": case,
            "steps_per_second": round(truth, 1),
            "spread": round(pstdev(each.steps_per_second for each in plain) / truth, 4),
            "slower_attached": round(slower - 1, 4),
            "more_cpu_attached": round(cpu - 1, 4),
            "corrected_off": round(slower * left - 1, 4),
            "corrected_cpu_off": round(cpu * left - 1, 4),
            "sum_off": round(max(sums), 6),
            "bounded_by": bounding[-1].name,
            **shares(profile, flow),
            "operations_per_second": round(busiest := max(map(operations, profile.timelines))),
            "off_cost": round(busiest * off()["operation_off_ns"] / 1e9, 6),
        }


def share(case: str, seconds: float) -> dict[str, Any]:
    """Profile one run for its shares."""
    file, changes = CASES[case]
    with running(file, changes) as (run, plan), tempfile.TemporaryDirectory() as folder:
        profile = profile_run(run, seconds, Path(folder), lambda _: None)
    flow = flow_of(plan)
    assert flow is not None
    return {"case": case, **shares(profile, flow)}


def shares(profile: Profile, flow: Flow) -> dict[str, float]:
    """Shares of resources in the time that actors and learner together are busy, without their communication."""
    roles = [profile.roles[name] for name in (flow.actor, flow.learner)]

    def seconds(resource: str) -> float:
        return sum(role.share(resource) * role.wall * role.processes for role in roles)

    busy = sum(role.busy * role.corrected * role.processes for role in roles) - seconds("communication")
    return {resource: round(seconds(resource) / busy, 4) for resource in ("simulator", "numeric", "python")}


def operations(timeline: Timeline) -> float:
    """Operations per second of a process, which each cost something without a profile too."""
    folded = sum(piece.times for each in timeline.intervals for piece in each.pieces if piece.kind == "folded")
    return (len(timeline.intervals) + folded) / timeline.wall * 1e9


def predictions(seconds: float, files: Sequence[str], keep: bool = False) -> Iterator[dict[str, Any]]:
    """Each run of PREDICTED: steps per second as predicted from its experiment's calibration, and as measured.

    A virtual machine is faster at one minute than at another. `off_paced` takes out by how much, as far as work
    that never changes tells before and after both.
    """
    known: dict[str, tuple[Found, float]] = {}
    before = pace()
    for file, actors in [(file, actors) for file, actors in PREDICTED if file in files]:
        if file not in known:
            made = calibrate(Client(), EXAMPLES / file, (), seconds, lambda _: None)
            known[file] = Found(made, (), ()), (before + (after := pace())) / 2
            before = after
            if keep:
                made.write(SHIPPED)
        found, calibrated_at = known[file]
        with running(file, (f"spec.roles.actor.replicas={actors}",)) as (run, plan):
            said, window = predict(plan, found=found), Meter(run).window(seconds)
        assert said.speed is not None
        after = pace()
        faster, before = (before + after) / 2 / calibrated_at, after
        off = said.speed.steps / window.steps_per_second
        yield {
            "file": file,
            "actors": actors,
            "predicted": round(said.speed.steps, 1),
            "measured": round(window.steps_per_second, 1),
            "off": round(off - 1, 4),
            "off_paced": round(off * faster - 1, 4),
            "cpu_us": round(window.cpu * 1e6, 1),
            "bounded_by": said.bounding_role,
        }


def pace(seconds: float = 2.0) -> float:
    """Return rounds a second of work that never changes, on all cores at once."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_work, [seconds] * cores)) / seconds


def _work(seconds: float) -> int:
    import numpy as np

    square, rounds, until = np.ones((64, 64), np.float32), 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        for _ in range(20):
            np.tanh(square @ square)
            sum(range(300))
        rounds += 20
    return rounds


def off() -> dict[str, float]:
    """Nanoseconds of `with operation(...)` while no profile is taken."""

    def inside() -> None:
        with operation("learn"):
            pass

    number = 200_000
    plain = min(repeat(lambda: None, number=number, repeat=7))
    return {"operation_off_ns": round((min(repeat(inside, number=number, repeat=7)) - plain) / number * 1e9, 1)}


def main() -> None:
    """Print the figures that were asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["cost", "share", "predict", "ship", "off"])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--files", nargs="*", help="Experiments of predict and ship; by default all.")
    parser.add_argument("--keep", action="store_true", help="Have the calibrations of predict come with surreal.")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0)
    asked = parser.parse_args()
    with own_home() as home:
        os.environ["SURREAL_HOME"] = home
        figures(asked)


def figures(asked: argparse.Namespace) -> None:
    """Measure and print."""
    if asked.what == "off":
        print(json.dumps(off()), flush=True)
    elif asked.what == "ship":
        for file in asked.files or SHIPPED_FOR:
            print(calibrate(Client(), EXAMPLES / file, (), asked.seconds, lambda _: None).write(SHIPPED), flush=True)
    elif asked.what == "predict":
        for row in predictions(asked.seconds, asked.files or [file for file, _ in PREDICTED], asked.keep):
            print(json.dumps(row), flush=True)
    else:
        for case in asked.cases * asked.runs:
            row = share(case, asked.seconds) if asked.what == "share" else cost(case, asked.seconds, asked.pairs)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
