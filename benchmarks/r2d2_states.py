"""R2D2 with the state that actors stored and burn-in, and from zero states: recall of a cue forty steps later.

    python benchmarks/r2d2_states.py [--seeds 1 2 3 4 5] [--ways stored zero] [--delay 40] [--steps 50000]

Each run is an experiment of the product, `examples/memory/corridor-r2d2.yaml` with the settings below, in a home of
its own. An episode has 41 steps and a sequence 50, so four of five answers lie in a sequence that begins after their
cue: what they need is in the state that the sequence begins with, or nowhere. A third of the answers is right by
chance. A run ends at 95 % of the last 400 training answers, or after `--steps`. Ways take turns, seed by seed.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

from learning.ending import SURREAL, own_home

EXAMPLE = Path(__file__).parent.parent / "examples" / "memory" / "corridor-r2d2.yaml"
COMMON = {
    "network.memory.forget_bias": 2, "adam_epsilon": 1e-5, "burn_in": 5,
    "updates_per_step": 0.05, "fragment_steps": 200, "replay.sequence_length": 50, "replay.sequence_overlap": 25,
    "evaluate_every_seconds": 1000,
}  # fmt: skip
WAYS: dict[str, dict[str, object]] = {
    "stored": {},
    "stored-only": {"burn_in": 0},
    "zero": {"stored_state": "false"},
    "zero-only": {"stored_state": "false", "burn_in": 0},
    "none": {"network": "null", "burn_in": 0},
}
"""Way -> settings: stored or zero state, with burn-in or without; the last is a network without memory."""


def settings(way: str, asked: argparse.Namespace, seed: int) -> list[str]:
    """Return the words `--set KEY=VALUE` of a run."""
    config = {**COMMON, "total_steps": asked.steps, **WAYS[way]}
    if way == "none":
        del config["network.memory.forget_bias"]
    keys = {f"spec.algorithm.config.{key}": value for key, value in config.items()}
    keys |= {"spec.seed": seed, "spec.env.options.delay": asked.delay}
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


def run(way: str, asked: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train once; return steps, updates, seconds, the share of right training answers and of the evaluation's."""
    with own_home() as home:
        command = [SURREAL, "create", str(EXAMPLE), *settings(way, asked, seed)]
        done = subprocess.run(command, env={**os.environ, "SURREAL_HOME": home}, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{way}, seed {seed}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        (path,) = Path(home).glob("experiments/*/metrics/metrics.jsonl")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    last = [row for row in rows if row["role"] == "learner/0"][-1]
    evaluations = [row["eval_return"] for row in rows if "eval_return" in row]
    return {
        "steps": last["steps"], "updates": last["gradient_steps"], "seconds": round(last["elapsed"], 1),
        "training": last["episode_return"], "evaluation": evaluations[-1] if evaluations else float("nan"),
    }  # fmt: skip


def main() -> None:
    """Run all, print one line for each run and one for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["stored", "zero"])
    parser.add_argument("--delay", type=int, default=40)
    parser.add_argument("--steps", type=int, default=50_000)
    asked = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {way: [] for way in asked.ways}
    for seed in asked.seeds:
        for way, runs in found.items():
            runs.append(run(way, asked, seed))
            print(json.dumps({"way": way, "seed": seed, **runs[-1]}), flush=True)
    for way, runs in found.items():
        scores = [each["training"] for each in runs]
        print(f"{way}: mean {statistics.mean(scores):.3f}, lowest {min(scores):.3f}, highest {max(scores):.3f}")


if __name__ == "__main__":
    main()
