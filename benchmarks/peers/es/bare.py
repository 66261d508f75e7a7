"""Bare rollouts: a numpy policy of 2x64 and HalfCheetah, one environment to a process and nothing else.

Prints one JSON line: environment steps per second of this process, of which the benchmark starts two at once.
"""

import argparse
import json
import time

import gymnasium
import numpy as np


def main() -> None:
    """Roll out once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=128_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, env = np.random.default_rng(args.seed), gymnasium.make("HalfCheetah-v5", disable_env_checker=True)
    sizes = ((17, 64), (64, 64), (64, 6))
    layers = [(0.1 * rng.standard_normal(size, dtype=np.float32), np.zeros(size[1], np.float32)) for size in sizes]
    began = time.perf_counter()
    observation, _ = env.reset(seed=args.seed)
    for _ in range(args.steps):
        x = np.asarray(observation, dtype=np.float32)
        for weight, bias in layers[:-1]:
            x = np.tanh(x @ weight + bias)
        action = np.clip(x @ layers[-1][0] + layers[-1][1], -1.0, 1.0)
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
    seconds = time.perf_counter() - began
    print(json.dumps({"steps_per_second": args.steps / seconds, "seconds": seconds, "steps": args.steps}))


if __name__ == "__main__":
    main()
