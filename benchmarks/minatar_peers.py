"""PPO on a MinAtar game beside stable-baselines3, interleaved on one machine: environment steps per second.

    python benchmarks/minatar_peers.py --peers DIR [--game Breakout] [--rounds 3] [--steps 40_000]

DIR/sb3 is a virtual environment with stable-baselines3 and minatar. Both have 16 environments, fragments of 128 steps,
4 epochs of minibatches of 512, Adam at 0.001, one network for policy and value: a convolution of 16 3x3 filters and a
dense layer of 128. Ours has an actor beside the learner, and estimates advantages once, as theirs. The first tenth of a
run is not counted. Ratios within a round are the result.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from os import environ
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ppo_peers import Result, from_metrics, peer

EXAMPLE = Path(__file__).parent.parent / "examples" / "environments" / "minatar-ppo.yaml"
SETTINGS = {
    "minibatch": 512, "epochs": 4, "learning_rate": 0.001, "entropy_coef": 0.01, "recompute_returns": "false",
    "desired_kl": "null", "fragment_steps": 128, "anneal": "false",
}  # fmt: skip


def ours(game: str, steps: int, seed: int) -> Result:
    """Train the example in a home of its own; rate from its metrics."""
    said = {f"spec.algorithm.config.{key}": value for key, value in (SETTINGS | {"total_steps": steps}).items()}
    said |= {"spec.env.id": f"MinAtar/{game}-v1", "spec.env.copies": 16, "spec.roles.actor.replicas": 1}
    said |= {"spec.seed": seed, "spec.algorithm.config.evaluate_every_seconds": 1000}
    with tempfile.TemporaryDirectory() as home:
        command = [str(Path(sys.executable).with_name("surreal")), "create", str(EXAMPLE)]
        for key, value in said.items():
            command += ["--set", f"{key}={value}"]
        subprocess.run(command, env={**environ, "SURREAL_HOME": home}, check=True, capture_output=True)
        return from_metrics(Path(home) / "experiments" / "minatar-ppo" / "metrics" / "metrics.jsonl", steps)


def theirs(peers: Path, game: str, steps: int, seed: int) -> Result:
    """Train stable-baselines3 once."""
    return peer(peers / "sb3" / "bin" / "python", "sb3_minatar.py", steps, seed, "--game", game)


def main() -> None:
    """Run all rounds, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--game", default="Breakout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40_000)
    args = parser.parse_args()
    pairs: list[tuple[Result, Result]] = []
    for seed in range(1, args.rounds + 1):
        pairs.append((ours(args.game, args.steps, seed), theirs(args.peers, args.game, args.steps, seed)))
        print(json.dumps(pairs[-1]), flush=True)
    table = Table("PPO", "steps/s", "return", title=f"MinAtar {args.game}, {args.steps:,} steps, {args.rounds} rounds")
    for name, figures in zip(("surreal", "stable-baselines3"), zip(*pairs, strict=True), strict=True):
        rate, score = (
            statistics.median(each[key] for each in figures) for key in ("steps_per_second", "episode_return")
        )
        table.add_row(name, f"{rate:,.0f}", f"{score:.1f}")
    Console().print(table)
    ratio = statistics.median(one["steps_per_second"] / two["steps_per_second"] for one, two in pairs)
    print(f"median of the rounds' ratios: {ratio:.2f}")


if __name__ == "__main__":
    main()
