"""CPU time of one update of IMPALA on one thread, by hand and by autograd, for two tanh networks of 64-64 units.

OMP_NUM_THREADS=1 python benchmarks speed.impala_engines
"""

import time
from typing import Any

import numpy as np

from surreal.algorithms.environments.spaces import Spaces
from surreal.algorithms.impala.config import IMPALAConfig
from surreal.algorithms.impala.gradients.analytic import Analytic
from surreal.algorithms.impala.gradients.autograd import Autograd
from surreal.algorithms.networks import Shape
from surreal.algorithms.rollouts.trajectories import Trajectories

STEPS, UPDATES, ROUNDS = 20, 20, 3


def unroll(shape: Shape, copies: int, rng: np.random.Generator) -> Trajectories:
    """Return random fragments of so many copies."""

    def normal(*size: int) -> Any:
        return rng.standard_normal(size, dtype=np.float32)

    lead, spaces = (STEPS, copies), shape.spaces
    actions = rng.integers(0, spaces.action, lead) if spaces.discrete else normal(*lead, spaces.action)
    nothing = np.zeros(lead, np.bool_)
    observations, final = normal(STEPS + 1, copies, spaces.observation), normal(0, spaces.observation)
    log_probs = normal(*lead) * np.float32(0.3) - np.float32(1)
    return Trajectories(observations, final, actions, log_probs, normal(*lead), nothing, nothing)


def milliseconds(engine: Any, data: Trajectories) -> float:
    """Return the CPU time of one update, the least of a few rounds."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(UPDATES):
            engine.step(data, 1e-4)
        found.append((time.process_time() - began) / UPDATES * 1e3)
    return min(found)


def main() -> None:
    """Print one line for each size."""
    rng, config = np.random.default_rng(0), IMPALAConfig(device="cpu")
    for observation, action, discrete in ((4, 2, True), (17, 6, False)):
        shape = Shape(Spaces.flat(observation, action, discrete), (64, 64))
        vector = shape.initial(rng, -0.5)
        for copies in (16, 64):
            data = unroll(shape, copies, rng)
            hand, auto = (milliseconds(engine(shape, config, vector), data) for engine in (Analytic, Autograd))
            size = f"{observation} inputs, {STEPS * copies} steps"
            print(f"{size}: by hand {hand:.2f} ms, autograd {auto:.2f} ms, ratio {auto / hand:.2f}")


if __name__ == "__main__":
    main()
