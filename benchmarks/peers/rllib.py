"""RLlib's PPO on HalfCheetah with the settings of the comparison; run by its own interpreter.

Prints one JSON line: steps per second after the first iterations, and the training return at the end.
"""

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import ray
from ray.rllib.algorithms.ppo import PPOConfig


def main() -> None:
    """Train once: one env runner with eight environments beside the learner in the driver."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--steps", type=int, default=61_440)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--address", help="Cluster to join; one of two CPUs is started without.")
    args = parser.parse_args()
    own = {} if args.address else {"num_cpus": 2, "include_dashboard": False}
    ray.init(args.address, log_to_driver=False, logging_level="ERROR", **own)
    config = (
        PPOConfig()
        .environment(args.env)
        .env_runners(num_env_runners=1, num_envs_per_env_runner=8, rollout_fragment_length=256)
        .training(train_batch_size=2048, minibatch_size=64, num_epochs=10, lr=3e-4, gamma=0.99, lambda_=0.95)
        .rl_module(model_config={"fcnet_hiddens": [64, 64], "fcnet_activation": "tanh", "vf_share_layers": False})
        .debugging(seed=args.seed, log_level="ERROR")
    )
    algorithm, start, began, first, steps = config.build_algo(), time.perf_counter(), 0.0, 0, 0
    result = {}
    while steps < args.steps:
        result = algorithm.train()
        steps = int(result["num_env_steps_sampled_lifetime"])
        if not began and steps >= args.steps // 10:
            began, first = time.perf_counter(), steps
    seconds = time.perf_counter() - began
    episode_return = result["env_runners"].get("episode_return_mean")
    print(
        json.dumps(
            {
                "steps_per_second": (steps - first) / seconds,
                "seconds": time.perf_counter() - start,
                "steps": steps,
                "episode_return": episode_return,
            }
        ),
        flush=True,
    )
    os._exit(0)  # ray's own shutdown takes longer than the benchmark


if __name__ == "__main__":
    main()
