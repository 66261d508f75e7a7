"""PPO on robosuite's Lift from states beside stable-baselines3: return over the same steps, and wall clock.

    python benchmarks beside.robosuite --only surreal --seed 1 [--steps 150_000] [--defaults]

Run it in one virtual environment that has surreal[robosuite] and stable-baselines3. Both have 4 environments, fragments
of 200 steps, which are an episode, 10 epochs of minibatches of 64, Adam at 0.0003, lambda 0.95, running statistics of
observations and returns, and two tanh networks of 64x64. `--defaults` trains the example as it stands instead, but for
its one actor of 4 environments and fewer evaluations, which step the environment too.
"""

import argparse
import json
import sys
from pathlib import Path

from beside.ppo import Result, peer, surreal

EXAMPLE = Path(__file__).parents[2] / "examples" / "environments" / "robosuite-lift-ppo.yaml"
SETTINGS = {
    "gae_lambda": "0.95", "recompute_returns": "false", "desired_kl": "null", "anneal": "false", "max_staleness": "0",
    "gamma": "0.99", "value_learning_rate": "null",
}  # fmt: skip


def ours(steps: int, seed: int, defaults: bool) -> Result:
    """Train the example once."""
    words = [f"spec.algorithm.config.{key}={value}" for key, value in ({} if defaults else SETTINGS).items()]
    words += ["spec.env.copies=4", "spec.roles.actor.replicas=1"]
    words += ["spec.algorithm.config.evaluate_every_seconds=100000", "spec.algorithm.config.evaluate_episodes=1"]
    return surreal(steps, seed, *words, example=EXAMPLE)


def main() -> None:
    """Train one contestant, or both in turn, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("surreal", "stable-baselines3"))
    parser.add_argument("--steps", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--defaults", action="store_true")
    args = parser.parse_args()
    if args.only != "stable-baselines3":
        print(json.dumps({"contestant": "surreal", **ours(args.steps, args.seed, args.defaults)}), flush=True)
    if args.only != "surreal":
        other = peer(Path(sys.executable), "sb3_robosuite.py", args.steps, args.seed)
        print(json.dumps({"contestant": "stable-baselines3", **other}), flush=True)


if __name__ == "__main__":
    main()
