"""IMPALA on MinAtar's Breakout beside PPO and Sample Factory, interleaved on one machine: environment steps per second.

    python benchmarks/impala_peers.py --peers DIR [--rounds 3] [--steps 200000]

DIR/sf is a virtual environment with Sample Factory and MinAtar; without it only surreal runs. Two actors of 16
environments, small-cnn, fragments of 20 steps, batches of 640, one pass, one torch thread. The first tenth of every run
is not counted. Ratios within a round are the result.
"""

import argparse
import statistics
from pathlib import Path

from ppo_peers import peer, surreal

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
CONTESTANTS = {
    "surreal impala": (EXAMPLES / "minatar-impala.yaml", ()),
    "surreal ppo": (EXAMPLES / "environments" / "minatar-ppo.yaml", ("spec.env.copies=16",)),
}


def main() -> None:
    """Run all contestants in turns and print one line for each run, then the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200_000)
    args = parser.parse_args()
    rates: dict[str, list[float]] = {}
    python = args.peers / "sf" / "bin" / "python"
    for seed in range(1, args.rounds + 1):
        for name, (example, settings) in CONTESTANTS.items():
            found = surreal(args.steps, seed, *settings, example=example)
            rates.setdefault(name, []).append(found["steps_per_second"])
        if python.exists():
            found = peer(python, "sf_minatar.py", args.steps, seed)
            rates.setdefault("sample factory", []).append(found["steps_per_second"])
        print(seed, {name: round(each[-1]) for name, each in rates.items()}, flush=True)
    for name, each in rates.items():
        print(f"{name}: median {statistics.median(each):,.0f} steps/s", flush=True)


if __name__ == "__main__":
    main()
