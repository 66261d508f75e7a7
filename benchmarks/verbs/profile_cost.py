"""Cost of an attached profile by pieces of work, every other one of which is profiled: exact where a machine is uneven.

    OPENBLAS_NUM_THREADS=1 python benchmarks verbs.profile_cost [--pieces 400]

Windows of a run (`verbs.profiles cost`) differ by more than a profile costs. Here neighbours of some 30 ms are
compared: a fragment of an actor, an update of PPO, twenty updates of DDPG. Prints a JSON line for each: the median of
the ratios of neighbours less one, and the bounds of the middle half. Calls are sampled once a second of profiled time.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from speed.learner import trajectories
from surreal.algorithms.environments.make import make_env
from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.environments.vector import VectorEnvironments
from surreal.algorithms.networks import Policy, Shape
from surreal.algorithms.normalizers import RunningMoments, Standardizer
from surreal.algorithms.offpolicy.config import DDPGConfig
from surreal.algorithms.offpolicy.method import Method
from surreal.algorithms.offpolicy.state import State
from surreal.algorithms.ppo.config import PPOConfig
from surreal.algorithms.ppo.update import Updater
from surreal.algorithms.rollouts.rollout import Rollout
from surreal.protocol.profiling.interception import Interception
from surreal.protocol.profiling.spans import ACTIVE, COMMUNICATION, Recorder, operation

Work = Callable[[], object]
LOOK_S = 1.0
"""Seconds of profiled time between two samples of calls, as a run has it."""


def fragment(env: str) -> Work:
    """Return a function that collects 128 steps of 8 copies."""
    envs = VectorEnvironments(lambda: make_env(env), 8, 1)
    shape, rng = Shape(envs.spaces, (64, 64)), np.random.default_rng(1)
    policy = Policy(shape)
    policy.load(shape.initial(rng, -1.0))
    rollout = Rollout(envs, policy, 8, 128, rng)
    standardize = Standardizer.of(RunningMoments(envs.spaces.observation))

    def work() -> None:
        with operation("acting"):
            rollout.collect(standardize, lambda: False)

    return work


def ppo() -> Work:
    """Return a function that makes one update of PPO from 2,048 transitions."""
    shape = Shape(Spaces.flat(17, 6, False), (64, 64))
    updater, data = Updater(shape, PPOConfig(minibatch=64, hidden=[64, 64]), 0), trajectories(shape, 128, 16)

    def work() -> None:
        with operation("learn"):
            updater.update(data, 0.0)

    return work


def ddpg() -> Work:
    """Return a function that makes twenty updates of DDPG from batches of 128 transitions, as Pendulum has them."""
    state = State(Method("ddpg", DDPGConfig(hidden=[64, 64])), Spaces.flat(3, 1, False), seed=1)
    rng = np.random.default_rng(0)
    seen, following = rng.standard_normal((2, 128, 3), dtype=np.float32)
    batch = {
        "observations": seen,
        "actions": np.tanh(rng.standard_normal((128, 1), dtype=np.float32)),
        "rewards": rng.standard_normal(128, dtype=np.float32),
        "discounts": np.full(128, 0.99, dtype=np.float32),
        "next_observations": following,
    }
    weights = np.ones(128, dtype=np.float32)

    def work() -> None:
        for _ in range(20):
            with operation("learn"):
                with operation("sample", COMMUNICATION):
                    pass
                with operation("update"):
                    state.learn(batch, weights)

    return work


def in_turns(work: Work, pieces: int) -> list[float]:
    """Return for each pair of pieces how many times as long the profiled one took."""
    recorder, ratios, profiled = Recorder(), list[float](), LOOK_S
    recorder.watch = Interception(recorder).begin
    for _ in range(3):
        work()
    for _ in range(pieces // 2):
        plain = _seconds(work)
        recorder.due, profiled = profiled >= LOOK_S, profiled % LOOK_S
        ACTIVE.recorder = recorder
        attached = _seconds(work)
        ACTIVE.recorder = None
        profiled += attached
        recorder.drain(10**6)
        ratios.append(attached / plain)
    return ratios


def _seconds(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=400)
    pieces = parser.parse_args().pieces
    cases = {
        "actor of PPO, CartPole": fragment("CartPole-v1"),
        "actor of PPO, HalfCheetah": fragment("HalfCheetah-v5"),
        "learner of PPO": ppo(),
        "learner of DDPG": ddpg(),
    }
    for name, work in cases.items():
        low, middle, high = (float(each) - 1 for each in np.quantile(in_turns(work, pieces), (0.25, 0.5, 0.75)))
        found = {"piece": name, "longer": round(middle, 4), "middle_half": [round(low, 4), round(high, 4)]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
