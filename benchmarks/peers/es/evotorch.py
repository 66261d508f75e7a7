"""EvoTorch's PGPE on HalfCheetah with the settings of the comparison; run by its own interpreter.

Prints one JSON line: environment steps per second after the first generation.
"""

import argparse
import json
import time

import torch
from evotorch.algorithms import PGPE
from evotorch.neuroevolution import GymNE


def main() -> None:
    """Train once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=128_000)
    parser.add_argument("--seed", type=int, default=1)  # which it cannot take with actors
    args = parser.parse_args()
    torch.set_num_threads(1)
    problem = GymNE(
        env="HalfCheetah-v5",
        network="Linear(obs_length, 64) >> Tanh() >> Linear(64, 64) >> Tanh() >> Linear(64, act_length)",
        observation_normalization=True,
        num_actors=2,
    )
    searcher = PGPE(
        problem,
        popsize=64,
        center_learning_rate=0.02,
        stdev_learning_rate=0.0,
        stdev_init=0.05,
        optimizer="adam",
        ranking_method="centered",
    )
    began = time.perf_counter()
    searcher.step()
    warm, first = time.perf_counter(), int(problem.status["total_interaction_count"])
    while int(problem.status["total_interaction_count"]) < first + args.steps:
        searcher.step()
    now, steps = time.perf_counter(), int(problem.status["total_interaction_count"])
    print(json.dumps({"steps_per_second": (steps - first) / (now - warm), "seconds": now - began, "steps": steps}))


if __name__ == "__main__":
    main()
