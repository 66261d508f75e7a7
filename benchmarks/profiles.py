"""Figures of docs/profile.md: what a profile costs, how exact it is, where time goes, how far predictions are off.

    python benchmarks/profiles.py cost --runs 3 --seconds 15     each case: unprofiled, profiled, unprofiled in one run
    python benchmarks/profiles.py predict --seconds 15           ten runs that no calibration was made from
    python benchmarks/profiles.py ship --seconds 20              the calibrations of the examples that come with surreal
    python benchmarks/profiles.py off                            nanoseconds of an operation without a profile

Each prints one JSON line for each figure. It needs a machine with nothing else on it.
"""

import argparse
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from timeit import repeat
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

from surreal.orchestrator.client import Client, Run
from surreal.orchestrator.experiment.load import load_experiment
from surreal.orchestrator.plan.model import Plan
from surreal.orchestrator.prediction.calibration import SHIPPED, Found
from surreal.orchestrator.prediction.measure import calibrate, endless, rate_of
from surreal.orchestrator.prediction.predict import flow_of, predict
from surreal.orchestrator.profiling.advice import bounding_role
from surreal.orchestrator.profiling.profile import Profile
from surreal.orchestrator.profiling.take import profile_run
from surreal.protocol.profiling.spans import operation

EXAMPLES = Path(__file__).parents[1] / "examples"
CASES = {
    "PPO/CartPole": ("cartpole-ppo.yaml", ()),
    "PPO/HalfCheetah": ("cheetah-ppo.yaml", ()),
    "DDPG/Pendulum": ("pendulum-ddpg.yaml", ("spec.algorithm.config.replay.capacity=100_000",)),
    "ES/HalfCheetah": ("cheetah-es.yaml", ()),
    "SAC/HalfCheetah": ("cheetah-sac.yaml", ()),
    "TD3/HalfCheetah": ("cheetah-td3.yaml", ()),
}
PREDICTED = [
    ("cartpole-ppo.yaml", 2),
    ("cartpole-ppo.yaml", 4),
    ("cheetah-ppo.yaml", 2),
    ("cheetah-ppo.yaml", 4),
    ("cheetah-ppo.yaml", 8),
    ("hopper-ppo.yaml", 2),
    ("hopper-ppo.yaml", 4),
    ("pendulum-ddpg.yaml", 2),
    ("pendulum-ddpg.yaml", 4),
    ("pendulum-ddpg.yaml", 8),
]
SHIPPED_FOR = [
    *("cartpole-ppo.yaml", "cheetah-ppo.yaml", "hopper-ppo.yaml", "cartpole-impala.yaml", "cartpole-dqn.yaml"),
    *("pendulum-ddpg.yaml", "cheetah-td3.yaml", "cheetah-sac.yaml", "cheetah-es.yaml", "swimmer-ars.yaml"),
]
WARM_UP_S = 5.0


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


def rate(run: Run, seconds: float) -> float:
    """Steps per second of a run over so many seconds, by its own clock."""
    first = run.status().progress
    time.sleep(seconds)
    last = run.status().progress
    return (last.steps - first.steps) / ((last.elapsed or 0.0) - (first.elapsed or 0.0))


def cost(case: str, seconds: float) -> dict[str, Any]:
    """One run: unprofiled, profiled, unprofiled again; times are of a step, relative to the mean of the unprofiled."""
    file, changes = CASES[case]
    with running(file, changes) as (run, plan), tempfile.TemporaryDirectory() as folder:
        before = rate(run, seconds)
        profile = profile_run(run, seconds, Path(folder), lambda _: None)
        after = rate(run, seconds)
        flow = flow_of(plan)
        assert flow is not None
        profiled = rate_of(profile, flow)
        truth = (before + after) / 2
        bounding = profile.roles[bounding_role(profile.roles) or flow.learner]
        corrected = profiled / (bounding.corrected / bounding.wall)
        sums = [abs(sum(each.seconds.values()) / each.wall - 1) for each in profile.processes]
        return {
            "case": case,
            "unprofiled_steps_per_second": round(truth, 1),
            "drift": round(after / before - 1, 4),
            "slower_attached": round(truth / profiled - 1, 4),
            "corrected_off": round(truth / corrected - 1, 4),
            "sum_off": round(max(sums), 6),
            "simulation_share": round(simulation(profile, flow.actor, flow.learner), 4),
            "bounded_by": bounding.name,
        }


def simulation(profile: Profile, *names: str) -> float:
    """Share of simulation in all busy time of actors and learner together, as RL-Scope counts it."""
    roles = [profile.roles[name] for name in names]
    busy = sum(role.busy * role.corrected * role.processes for role in roles)
    simulated = sum(role.share("simulator") * role.wall * role.processes for role in roles)
    return simulated / busy


def predictions(seconds: float) -> Iterator[dict[str, Any]]:
    """Each run of PREDICTED: steps per second as predicted from a calibration with one actor, and as measured."""
    known: dict[str, Found] = {}
    for file, actors in PREDICTED:
        if file not in known:
            found = calibrate(Client(), EXAMPLES / file, (), seconds, lambda _: None)
            known[file] = Found(found, (), ())
        with running(file, (f"spec.roles.actor.replicas={actors}",)) as (run, plan):
            said, measured = predict(plan, found=known[file]), rate(run, 2 * seconds)
        assert said.speed is not None
        yield {
            "file": file,
            "actors": actors,
            "predicted": round(said.speed.steps, 1),
            "measured": round(measured, 1),
            "off": round(said.speed.steps / measured - 1, 4),
            "bounded_by": said.bounding_role,
        }


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
    parser.add_argument("what", choices=["cost", "predict", "ship", "off"])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15.0)
    asked = parser.parse_args()
    if asked.what == "off":
        print(json.dumps(off()), flush=True)
    elif asked.what == "ship":
        for file in SHIPPED_FOR:
            print(calibrate(Client(), EXAMPLES / file, (), asked.seconds, lambda _: None).write(SHIPPED), flush=True)
    elif asked.what == "predict":
        for row in predictions(asked.seconds):
            print(json.dumps(row), flush=True)
    else:
        for _ in range(asked.runs):
            for case in asked.cases:
                print(json.dumps(cost(case, asked.seconds)), flush=True)


if __name__ == "__main__":
    main()
