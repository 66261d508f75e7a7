"""PPO on a MinAtar game beside stable-baselines3, interleaved on one machine: environment steps per second.

    python benchmarks beside.minatar --peers DIR [--game Breakout] [--rounds 3] [--steps 80_000]
    python benchmarks beside.minatar --peers DIR --only surreal --seed 2 --steps 1_000_000

DIR/sb3 is a virtual environment with stable-baselines3 and minatar. Both have 16 environments, fragments of 128 steps,
4 epochs of minibatches of 512, Adam at 0.001, lambda 0.95, rewards as they are, and one network for policy and value: a
convolution of 16 3x3 filters and a dense layer of 128. Ours has an actor beside the learner, whose loops are compiled
as in a run of a million steps. The first tenth of a run is not counted. Ratios within a round are the result. Returns
are means of the last 1,000 training episodes, also those of `curve`, after each tenth of the steps.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from beside.ppo import Result, peer, surreal

EXAMPLE = Path(__file__).parents[2] / "examples" / "environments" / "minatar-ppo.yaml"
SETTINGS = {
    "minibatch": 512, "epochs": 4, "learning_rate": 0.001, "entropy_coef": 0.01, "recompute_returns": "false",
    "desired_kl": "null", "fragment_steps": 128, "anneal": "false", "gamma": 0.99, "gae_lambda": 0.95,
    "normalize_rewards": "false",
    "evaluate_every_seconds": 1000, "numba": "true", "return_window": 1000,
}  # fmt: skip


def ours(game: str, steps: int, seed: int, others: list[str]) -> Result:
    """Train the example once; `others` are settings KEY=VALUE over those of the comparison."""
    words = [f"spec.algorithm.config.{word}" for word in (*(f"{k}={v}" for k, v in SETTINGS.items()), *others)]
    words += [f"spec.env.id=MinAtar/{game}-v1", "spec.env.copies=16", "spec.roles.actor.replicas=1"]
    return surreal(steps, seed, *words, example=EXAMPLE)


def theirs(peers: Path, game: str, steps: int, seed: int) -> Result:
    """Train stable-baselines3 once."""
    return peer(peers / "sb3" / "bin" / "python", "sb3_minatar.py", steps, seed, "--game", game)


def rounds(runs: dict[str, Callable[[int], Result]], seeds: range, title: str) -> None:
    """Run all contestants with each seed in turn, then print the table of medians."""
    found: dict[str, list[Result]] = {name: [] for name in runs}
    for seed in seeds:
        for name, run in runs.items():
            found[name].append(run(seed))
            print(json.dumps({"contestant": name, "seed": seed, **found[name][-1]}), flush=True)
    table = Table("PPO", "steps/s", "return", title=title)
    for name, figures in found.items():
        rate, score = (
            statistics.median(each[key] for each in figures) for key in ("steps_per_second", "episode_return")
        )
        table.add_row(name, f"{rate:,.0f}", f"{score:.1f}")
    Console().print(table)
    if len(found) == 2:
        pairs = zip(*found.values(), strict=True)
        ratio = statistics.median(one["steps_per_second"] / two["steps_per_second"] for one, two in pairs)
        print(f"median of the rounds' ratios: {ratio:.2f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--game", default="Breakout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80_000)
    parser.add_argument("--peer-steps", type=int, help="fewer of the other's, which needs longer; by default as many")
    parser.add_argument("--seed", type=int, default=1, help="the first round's")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="settings", help="surreal's alone")
    parser.add_argument("--only", choices=("surreal", "stable-baselines3"), help="one contestant, one seed")
    args = parser.parse_args()
    runs: dict[str, Callable[[int], Result]] = {
        "surreal": lambda seed: ours(args.game, args.steps, seed, args.settings),
        "stable-baselines3": lambda seed: theirs(args.peers, args.game, args.peer_steps or args.steps, seed),
    }
    runs = {name: run for name, run in runs.items() if args.only in (None, name)}
    last = args.seed + (1 if args.only else args.rounds)
    rounds(runs, range(args.seed, last), f"MinAtar {args.game}, {args.steps:,} steps")


if __name__ == "__main__":
    main()
