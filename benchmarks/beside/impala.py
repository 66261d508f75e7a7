"""IMPALA on MinAtar's Breakout beside Sample Factory, MonoBeast and PPO, in turns on one machine: steps per second.

    python benchmarks beside.impala --peers DIR [--seeds 1 2 3] [--steps 25000] [--contestants impala sf monobeast]

DIR/sf is a virtual environment with Sample Factory and MinAtar, DIR/torchbeast a checkout of TorchBeast, which runs by
the interpreter of DIR/sf: it needs torch, numpy and MinAtar. Everyone has the layers of small-cnn, fragments of 20
steps, updates on 640 steps, one pass, one torch thread. surreal and Sample Factory have two actors of 16 environments;
an actor of MonoBeast has one environment. The first tenth of a run is not counted. Ratios within a round count. The
faster ones take more steps, so that each run is some ten seconds long.
"""

import argparse
import statistics
from pathlib import Path

from beside.ppo import peer, surreal

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIG = "spec.algorithm.config."
QUIET = ("spec.env.copies=16", f"{CONFIG}evaluate_every_seconds=1000")
SAME = (f"{CONFIG}fragment_steps=20", f"{CONFIG}batch_fragments=2", f"{CONFIG}replay_ratio=0", *QUIET)
OURS = {
    "impala": (EXAMPLES / "minatar-impala.yaml", SAME),
    "ppo": (EXAMPLES / "environments" / "minatar-ppo.yaml", QUIET),
}
"""Contestant -> example, settings."""
SHARES = {"impala": 8.0, "ppo": 2.0, "sf": 1.0, "monobeast": 0.5}
"""Contestant -> its steps over `--steps`."""


def rate(name: str, peers: Path, steps: int, seed: int, actors: int) -> float:
    """Return the steps per second of one run of a contestant."""
    steps = int(steps * SHARES[name])
    if name in OURS:
        example, settings = OURS[name]
        return float(surreal(steps, seed, *settings, example=example)["steps_per_second"])
    python = peers / "sf" / "bin" / "python"
    if name == "sf":
        return float(peer(python, "sf_minatar.py", steps, seed)["steps_per_second"])
    words = ("--checkout", str(peers / "torchbeast"), "--actors", str(actors))
    return float(peer(python, "monobeast_minatar.py", steps, seed, *words)["steps_per_second"])


def main() -> None:
    """Run all contestants in turns and print a line for each round, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=Path("peers"))
    parser.add_argument("--contestants", nargs="+", default=["impala", "sf", "monobeast"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=25_000, help="of Sample Factory")
    parser.add_argument("--actors", type=int, default=8, help="of MonoBeast, one environment each")
    asked = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in asked.contestants}
    for seed in asked.seeds:
        for name, found in rates.items():
            found.append(rate(name, asked.peers, asked.steps, seed, asked.actors))
        print(seed, {name: round(found[-1]) for name, found in rates.items()}, flush=True)
    first = rates[asked.contestants[0]]
    for name, found in rates.items():
        ratio = statistics.median(one / other for one, other in zip(first, found, strict=True))
        print(f"{name}: median {statistics.median(found):,.0f} steps/s; {asked.contestants[0]} is {ratio:.2f} of it")


if __name__ == "__main__":
    main()
