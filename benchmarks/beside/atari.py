"""PPO on an Atari game beside CleanRL's ppo_atari.py, interleaved on one machine: environment steps per second.

    python benchmarks beside.atari --peers DIR [--game Pong] [--rounds 3] [--steps 20_480] [--threads 2]

DIR/cleanrl is a virtual environment for the script DIR/cleanrl/ppo_atari.py (benchmarks/peers/cleanrl_atari.py says
what it needs). Both have its hyperparameters: 8 environments, fragments of 128 steps, 4 epochs of minibatches of 256,
Adam at 0.00025 that anneals, Nature CNN for policy and value; a step is 4 frames. Ours has an actor beside the learner.
Both learners have `--threads` threads. The first tenth of a run is not counted. Ratios within a round are the result.
"""

import argparse
import json
import statistics
from pathlib import Path

from beside.ppo import Result, peer, surreal

EXAMPLE = Path(__file__).parents[2] / "examples" / "environments" / "atari-ppo.yaml"
SETTINGS = {
    "fragment_steps": "128", "minibatch": "256", "epochs": "4", "learning_rate": "2.5e-4", "clip": "0.1",
    "value_clip": "0.1", "gamma": "0.99", "gae_lambda": "0.95", "entropy_coef": "0.01",
    "evaluate_every_seconds": "1000",
    # CleanRL does not evaluate; a whole game would take seconds of the run that is timed.
    "evaluate_episodes": "1", "evaluation_episode_cap": "50",
    # CleanRL halves the squared error of the values once more.
    "value_coef": "0.25",
}  # fmt: skip


def ours(game: str, steps: int, seed: int, threads: int) -> Result:
    """Train the example once."""
    words = [f"spec.algorithm.config.{key}={value}" for key, value in SETTINGS.items()]
    words += [f"spec.env.id=ALE/{game}-v5", "spec.env.copies=8", "spec.roles.actor.replicas=1"]
    words += [f"spec.roles.learner.resources.cpu={threads}"]
    return surreal(steps, seed, *words, example=EXAMPLE)


def theirs(peers: Path, game: str, steps: int, seed: int, threads: int) -> Result:
    """Train CleanRL once."""
    words = ("--script", str(peers / "cleanrl" / "ppo_atari.py"), "--game", game, "--threads", str(threads))
    return peer(peers / "cleanrl" / "bin" / "python", "cleanrl_atari.py", steps, seed, *words)


def main() -> None:
    """Run all rounds, and print the figures of each and the median of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--game", default="Pong")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_480)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    ratios = []
    for seed in range(1, args.rounds + 1):
        mine = ours(args.game, args.steps, seed, args.threads)
        other = theirs(args.peers, args.game, args.steps, seed, args.threads)
        ratios.append(mine["steps_per_second"] / other["steps_per_second"])
        print(json.dumps({"surreal": mine, "cleanrl": other, "ratio": ratios[-1]}), flush=True)
    print(f"median of the rounds' ratios: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
